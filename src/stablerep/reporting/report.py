"""The report: one self-contained page that shows what a run found."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from stablerep.errors import DataError
from stablerep.reporting.audit import draw_gaps, skewed_pairs
from stablerep.reporting.axes import css_variables
from stablerep.reporting.compact_tables import CompactTable, other_metrics, other_tasks
from stablerep.reporting.content import ImageSetFacts, ReportContent
from stablerep.reporting.figures import SOURCE_TITLES, draw_accuracies, draw_training
from stablerep.reporting.gallery import share_galleries
from stablerep.reporting.headline import bounds, percent, points, write_headline
from stablerep.reporting.inline import svg_address
from stablerep.reporting.rejections import count_rejections
from stablerep.reporting.tables import ArmRow, ArmsTable, list_tasks, make_table, title_of
from stablerep.reporting.worth_it import EQUALS, answer, draw_worth

# facts of an image set that have their own place on the page
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
    """

    name: str
    table: ArmsTable
    figures: dict[str, str]
    other_tasks: CompactTable | None
    other_metrics: CompactTable | None


def build_report(content: ReportContent) -> str:
    """Returns the page as HTML; it refers to no other file and no network.

    Raises:
        DataError: there are no metrics, unit scores or histories do not fit them, or an arm's image set is
            not known.
    """
    _check_every_arm_is_in(content)
    results = [make_section(content, name, tasks) for name, tasks in list_tasks(content.metrics).items()]
    headline, worth = write_headline(content, results[0].table), answer(content)
    galleries = {name: each.gallery for name, each in content.image_sets.items()}
    shared, own = share_galleries(galleries)
    gaps = draw_gaps(content.image_audit) if len(content.image_audit) else {}
    rejected = content.rejected_captions
    return (
        _environment()
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
            training=_training_figures(content),
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
            source_titles=SOURCE_TITLES,
        )
    )


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
    further = other_tasks(content, table, tasks), other_metrics(content, table)
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
    return {**{name: value for name, value in image_set.settings.items() if value is not None}, **facts}


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


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("stablerep.reporting"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent,
        points=points,
        bounds=bounds,
        title=title_of,
        words=lambda name: str(name).replace("_", " "),
        label=lambda key: key.removeprefix("num_").replace("_", " "),
        number=lambda value: f"{value:,}",
        counted=lambda number, noun: f"{number:,} {noun}{'' if number == 1 else 's'}",
        duration=_duration,
        brief=_brief,
        json=lambda value: json.dumps(value, indent=2, ensure_ascii=False, default=str),
    )
    return environment


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def _brief(value: Any, num_characters: int = 90) -> str:
    if isinstance(value, Mapping):
        text = ", ".join(f"{name} {_brief(each)}" for name, each in value.items())
    elif isinstance(value, int) and not isinstance(value, bool):
        text = f"{value:,}"
    else:
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= num_characters else text[:num_characters] + "…"
