"""The report: one self-contained page that shows what a run found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from stablerep.errors import DataError
from stablerep.reporting.audit import draw_gaps, skewed_pairs
from stablerep.reporting.axes import css_variables
from stablerep.reporting.compact_tables import CompactTable, each_seed, other_metrics, other_tasks
from stablerep.reporting.content import ImageSetFacts, ReportContent
from stablerep.reporting.cost import add_up
from stablerep.reporting.figures import SOURCE_TITLES, draw_accuracies, draw_training
from stablerep.reporting.gallery import share_galleries
from stablerep.reporting.guidance import (
    accuracy_over_guidance,
    alignment_over_guidance,
    draw_over_guidance,
    draw_study,
    set_metric_over_guidance,
)
from stablerep.reporting.headline import Headline, write_headline
from stablerep.reporting.image_set_metrics import NearPair, near_pairs, table_of_groups, table_of_set_metrics
from stablerep.reporting.inline import svg_address
from stablerep.reporting.pages import page_environment
from stablerep.reporting.rejections import count_rejections
from stablerep.reporting.tables import ArmRow, ArmsTable, list_tasks, make_table, title_of
from stablerep.reporting.worth_it import EQUALS, answer, draw_worth

# facts of an image set that have their own place on the page
_NUM_PAIRS = 12  # shown for each kind and set
_NEAR_TITLES = {
    "training_image": "images beside the nearest training images of the generator",
    "near_duplicate": "near-duplicates within the set",
    "overlap": "images that are in an evaluation set, or nearly the same",
}
_PLACED_FACTS = ("generation", "alignment", "gate")


@dataclass(frozen=True)
class ResultSection:
    """The page's section on one evaluation set.

    Attributes:
        name: of the set.
        table: its first task.
        figures: evaluation -> address of its figure.
        other_tasks: all tasks by the leading evaluation; None where there is one.
        other_metrics: metrics that the table leaves out; None where there are none.
        each_seed: the leading figure with each seed; None if there is only one.
    """

    name: str
    table: ArmsTable
    figures: dict[str, str]
    other_tasks: CompactTable | None
    other_metrics: CompactTable | None
    each_seed: CompactTable | None


def build_report(content: ReportContent) -> str:
    """Returns the page as HTML; it refers to no other file and no network.

    Raises:
        DataError: there are no metrics, unit scores or histories do not fit them, or an arm's image set is
            not known.
    """
    _check_every_arm_is_in(content)
    tasks = list_tasks(content.metrics)
    results = [make_section(content, name, of_set) for name, of_set in tasks.items()]
    headline, worth = write_headline(content, results[0].table), answer(content)
    galleries = {name: each.gallery for name, each in content.image_sets.items()}
    shared, own = share_galleries(galleries)
    guidance = _guidance_figures(content, results[0].table)
    gaps = draw_gaps(content.image_audit) if len(content.image_audit) else {}
    rejected = content.rejected_captions
    return (
        page_environment()
        .get_template("report.html.j2")
        .render(
            content=content,
            worth=worth,
            worth_figure="" if worth is None else svg_address(draw_worth(worth)),
            worth_equals=EQUALS,
            colours=css_variables(),
            headline=headline,
            results=results,
            leading=results[0].table,
            rivals=find_rivals(results[0].table, headline.best),
            guidance=guidance,
            set_metrics=table_of_set_metrics(content.set_metrics) if len(content.set_metrics) else None,
            set_groups=table_of_groups(content.set_metrics) if len(content.set_metrics) else None,
            near_images=group_pairs(content),
            near_titles=_NEAR_TITLES,
            training=_training_figures(content),
            cost=add_up(content),
            shared_gallery=shared,
            own_galleries=own,
            image_set_facts={name: listed_facts(each) for name, each in content.image_sets.items()},
            histograms={
                name: svg_address(each.alignment.histogram)
                for name, each in content.image_sets.items()
                if each.alignment is not None
            },
            audit_gaps={group: svg_address(figure) for group, figure in gaps.items()},
            skewed_pairs=skewed_pairs(content.image_audit_pairs) if len(content.image_audit_pairs) else [],
            rejections=count_rejections(rejected) if rejected is not None else [],
            stages=stage_rows(content.stage_seconds),
            sections=list_sections(content, list(tasks), bool(guidance), bool(shared)),
            source_titles=SOURCE_TITLES,
        )
    )


def group_pairs(content: ReportContent) -> dict[str, dict[str, list[NearPair]]]:
    """Returns image set -> kind -> the nearest pairs."""
    grouped: dict[str, dict[str, list[NearPair]]] = {}
    for name, pairs in (near_pairs(content.near_images) if len(content.near_images) else {}).items():
        for pair in pairs:
            of_kind = grouped.setdefault(name, {}).setdefault(pair.kind, [])
            if len(of_kind) < _NUM_PAIRS:
                of_kind.append(pair)
    return grouped


def list_sections(
    content: ReportContent, evaluation_sets: list[str], has_guidance: bool, has_shared_captions: bool
) -> list[tuple[str, str]]:
    """Returns (anchor, title) of each section, in the order of the page."""
    maybe = [
        *((True, f"results-{name}", f"Results on {name.replace('_', ' ')}") for name in evaluation_sets),
        (True, "intervals", "Intervals"),
        (content.learned is not None, "learned", "Neighbours and map"),
        (has_guidance, "guidance", "Guidance"),
        (bool(content.histories), "training", "Training"),
        (has_shared_captions, "shared", "Captions and images"),
        *((True, f"set-{name}", f"Image set {name.replace('_', ' ')}") for name in content.image_sets),
        (bool(len(content.set_metrics)), "set-metrics", "Diversity, coverage, copies"),
        (bool(len(content.image_audit)), "audit", "Audit"),
        (
            content.num_curated_captions is not None or bool(content.caption_gate),
            "captions",
            "Curation and gate",
        ),
        (True, "cost", "Cost"),
        (True, "run", "Configuration"),
    ]
    return [(anchor, title) for is_there, anchor, title in maybe if is_there]


def find_headline(content: ReportContent) -> Headline:
    """Returns the headline alone, without the page.

    Raises:
        DataError: see `build_report`.
    """
    set_name, tasks = next(iter(list_tasks(content.metrics).items()))
    return write_headline(content, make_table(content, set_name, tasks[0]))


def make_section(content: ReportContent, set_name: str, tasks: list[str]) -> ResultSection:
    """Makes the section on an evaluation set.

    Args:
        content: of the page.
        set_name: the evaluation set.
        tasks: its tasks; the first one has the table with intervals.
    """
    table = make_table(content, set_name, tasks[0])
    facts = content.evaluation_sets.get(set_name)
    num_classes = facts.num_classes.get(tasks[0]) if facts is not None else None
    chance = 1 / num_classes if num_classes else None
    figures = {
        evaluation: svg_address(draw_accuracies(table, evaluation, chance))
        for evaluation in table.evaluations
    }
    further = other_tasks(content, table, tasks), other_metrics(content, table), each_seed(content, table)
    return ResultSection(set_name, table, figures, *further)


def find_rivals(table: ArmsTable, best: ArmRow | None) -> list[ArmRow]:
    """Returns the best arm on each other image set than the best arm's; references are left out."""
    found: dict[str, ArmRow] = {}
    for row in table.rows:
        if best is not None and not row.is_reference and row.images != best.images:
            found.setdefault(row.images, row)
    return [row for row in found.values() if table.leading in row.cells]


def listed_facts(image_set: ImageSetFacts) -> dict[str, Any]:
    """Returns an image set's settings, and its plain facts that have no place of their own on the page."""
    facts = {
        name: value
        for name, value in image_set.facts.items()
        if name not in _PLACED_FACTS and _is_plain(value)
    }
    settings = {name: value for name, value in image_set.settings.items() if value not in (None, {}, [])}
    return {**settings, **facts}


def _is_plain(value: Any) -> bool:
    """Whether a value fits into a line: a number, a text, or a mapping of these."""
    values = value.values() if isinstance(value, Mapping) else [value]
    return not any(isinstance(each, Mapping | list | tuple) for each in values)


def _check_every_arm_is_in(content: ReportContent) -> None:
    """Raises DataError for a trained arm that the metrics or the unit scores lack: it would be left out."""
    for name, table in (("metrics", content.metrics), ("unit scores", content.unit_scores)):
        there = set(zip(table["arm"], table["seed"], strict=True))
        lost = sorted(set(content.histories) - there)
        if len(table) and lost:
            arms = ", ".join(f"{arm!r} with seed {seed}" for arm, seed in lost[:3])
            raise DataError(
                f"{name}: arm {arms} {'is' if len(lost) == 1 else 'are'} not in the table; every trained arm "
                "must be. Run `kedro run --pipelines evaluation`."
            )


def _guidance_figures(content: ReportContent, table: ArmsTable) -> dict[str, str]:
    """Returns alternative text -> address, for each figure over the guidance scale."""
    figures = {}
    if series := accuracy_over_guidance(content, table):
        metric = table.evaluations[table.leading]
        title = f"{title_of(table.leading)}, {metric.replace('_', ' ')}, n = {table.num_units:,}"
        figures[f"{title}, over the guidance scale"] = draw_over_guidance(series, metric, title)
    if series := alignment_over_guidance(content):
        number = min(point.interval.num_units for points in series.values() for point in points)
        title = f"mean alignment with quartiles, n = {number:,} images per set"
        figures[f"{title}, over the guidance scale"] = draw_over_guidance(series, "alignment", title)
    for metric, what in (("vendi", "diversity"), ("coverage", "coverage of the reference")):
        if series := set_metric_over_guidance(content, metric):
            number = min(point.interval.num_units for point in series[metric])
            title = f"{what}, n = {number:,} images per set"
            figures[f"{title}, over the guidance scale"] = draw_over_guidance(series, metric, title)
    if content.guidance_study is not None:
        figures["Validation score over the guidance scale, in the study"] = draw_study(content.guidance_study)
    return {alt: svg_address(figure) for alt, figure in figures.items()}


def _training_figures(content: ReportContent) -> dict[str, str]:
    """Returns arm -> address of its training curves, in the order of the metrics."""
    images = {arm: str(each["images"]) for arm, each in content.arms.items()}
    images |= dict(zip(content.metrics["arm"], content.metrics["images"], strict=True))
    histories: dict[str, dict[int, pd.DataFrame]] = {}
    for (arm, seed), history in content.histories.items():
        histories.setdefault(arm, {})[seed] = history
    return {
        arm: svg_address(draw_training(histories[arm], content.source_of(images[arm])))
        for arm in dict.fromkeys([*content.metrics["arm"], *histories])
        if arm in histories
    }


def stage_rows(seconds: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """Returns (stage, seconds, share of the longest) in the order in which stages ran."""
    longest = max(seconds.values(), default=0.0)
    return [(name, value, value / longest if longest else 0.0) for name, value in seconds.items()]
