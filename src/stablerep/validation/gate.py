"""The gates: checks of the caption set before images are made, and of the images before training.

A gate has one or more tables, each with rules of Great Expectations from the configuration, and one page that
tells what they found. A failing rule ends the run here, with its rows, before money is spent. Importing Great
Expectations takes seconds, so it happens inside the functions.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from stablerep.errors import ConfigError, GateError
from stablerep.storage.whole_files import written_whole
from stablerep.validation.captions import measure_captions
from stablerep.validation.data_docs import render_page
from stablerep.validation.rules import Rule, build_expectation, parse_rules
from stablerep.validation.terms import NamedTerms

logger = logging.getLogger(__name__)

# What names a row in messages, reports and pages, where the table has it.
_ROW_NAMES = ("image_id", "caption_id", "image_index", "text", "line", "near_duplicate_of")
_TERM_NAMES = ("group", "term", "other_group", "other_term", "caption_id", "text")
_NUM_SHOWN = 10  # rows of a rule in a message
_NUM_KEPT = 100  # rows of a rule in the report: enough to look at, and bounded for millions of rows
_MAX_VALUE_LENGTH = 120  # characters of one value in a message
Rules = Mapping[str, Mapping[str, Any] | None]


@dataclass(frozen=True)
class _Table:
    """What a gate looks at.

    Attributes:
        name: its rules stand under `validation.<name>`.
        frame: its rows.
        rules: as in the configuration.
        row_names: columns that name a row.
    """

    name: str
    frame: pd.DataFrame
    rules: Rules
    row_names: tuple[str, ...] = _ROW_NAMES


def check_captions(
    frame: pd.DataFrame,
    gates: Mapping[str, Any],
    docs_folder: Path,
    evaluation_texts: Iterable[str] = (),
) -> dict[str, Any]:
    """Checks the curated captions, and the terms that they name where `validation.groups` has any.

    Args:
        frame: columns caption_id, text, source, licence, line.
        gates: `captions`: rules on them, which may also name the columns of
            `stablerep.validation.captions.measure_captions` and `num_groups`, in how many groups a caption
            names a term. `groups`: group -> term -> words. `terms`, `term_pairs`: rules on the two tables
            of `stablerep.validation.terms.NamedTerms`.
        docs_folder: the page goes into its folder `captions`.
        evaluation_texts: captions of the evaluation set.

    Returns:
        {"success": bool, "rules": [...]}, ready for JSON; a rule has table, name, type, severity, success,
        observed, num_unexpected and unexpected (the first 100 rows that it does not allow). `success`
        is that of the rules with severity fail.

    Raises:
        ConfigError: a rule cannot be read or computed.
        GateError: a rule with severity fail does not hold.
    """
    named = NamedTerms(frame, gates["groups"])
    measured = measure_captions(frame, evaluation_texts).assign(num_groups=named.num_groups())
    tables = [_Table("captions", measured, gates["captions"])]
    # without groups there are no terms, and captions of one group each have no pairs
    for name, table in (("terms", named.terms()), ("term_pairs", named.pairs())):
        if len(table):
            tables.append(_Table(name, table, gates[name], _TERM_NAMES))
        elif parse_rules(name, gates[name])[1:]:
            logger.info("gate captions: the captions have no %s: validation.%s is not asked", name, name)
    return _check("captions", tables, docs_folder)


def check_images(
    images: pd.DataFrame, captions: pd.DataFrame, gates: Mapping[str, Any], docs_folder: Path
) -> dict[str, Any]:
    """Checks the image set; otherwise as `check_captions`.

    Args:
        images: one row per image, as `image_sets.inspect.inspect_images` measures it, with its
            caption's text.
        captions: one row per caption, as `stablerep.generation.image_sets.inspect.inspect_captions` measures
            it.
        gates: rules: `images` on the first table, `images_of_captions` on the second.
        docs_folder: the page goes into its folder `images`.
    """
    tables = [
        _Table("images", images, gates["images"]),
        _Table("images_of_captions", captions, gates["images_of_captions"]),
    ]
    return _check("images", tables, docs_folder)


def check_real_images(images: pd.DataFrame, gates: Mapping[str, Any], docs_folder: Path) -> dict[str, Any]:
    """Checks an image set that was not generated; otherwise as `check_captions`.

    Args:
        images: one row per image, as `stablerep.image_sets.inspection.inspect_table` returns them.
        gates: rules: `real_images`.
        docs_folder: the page goes into its folder `images`.
    """
    return _check("images", [_Table("real_images", images, gates["real_images"])], docs_folder)


def _check(gate: str, tables: Sequence[_Table], docs_folder: Path) -> dict[str, Any]:
    rules = {table.name: parse_rules(table.name, table.rules) for table in tables}
    results = {table.name: _validate(table, rules[table.name]) for table in tables}
    reports = [report for name, result in results.items() for report in _reports(name, rules[name], result)]
    page = Path(docs_folder).absolute() / gate / "index.html"
    with written_whole(page) as beside:
        sizes = {table.name: len(table.frame) for table in tables}
        beside.write_text(render_page(gate, sizes, reports, results), encoding="utf-8")
    broken = [each for each in reports if not each["success"]]
    failed = [each for each in broken if each["severity"] == "fail"]
    for each in broken:
        if each["severity"] == "warn":
            logger.warning("gate %s: %s (severity warn)", gate, _describe(each))
    if failed:
        shown = "\n".join(f"- {_describe(each)}" for each in failed)
        raise GateError(
            f"gate {gate}: {len(failed)} of {len(reports)} rules failed:\n{shown}\nSee {page}. Fix the rows "
            f"where they come from, or change {_keys(failed)} in conf/params/validation/<name>.yaml.",
            page,
        )
    logger.info("gate %s: %d rules hold on %d rows; see %s", gate, len(reports), len(tables[0].frame), page)
    return {"success": True, "rules": reports}


def _keys(failed: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(dict.fromkeys(f"validation.{each['table']}.{each['name']}" for each in failed))


def _validate(table: _Table, rules: Sequence[Rule]) -> Any:
    """Runs the rules of a table; returns Great Expectations' ExpectationSuiteValidationResult."""
    import great_expectations as gx

    expectations = [build_expectation(table.name, rule, list(table.frame.columns)) for rule in rules]
    asset = _context().data_sources.add_pandas(table.name).add_dataframe_asset(table.name)
    frame = table.frame.reset_index(drop=True)  # rows of equal labels would be told as one
    batch = asset.add_batch_definition_whole_dataframe(table.name).get_batch({"dataframe": frame})
    return batch.validate(
        gx.ExpectationSuite(name=table.name, expectations=expectations),
        result_format={
            "result_format": "COMPLETE",
            "unexpected_index_column_names": [name for name in table.row_names if name in table.frame],
        },
    )


def _context() -> Any:
    """Makes a context that keeps everything in memory and sends nothing anywhere."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars={"globally": False, "metric_calculations": False},
        analytics_enabled=False,
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _reports(table: str, rules: Sequence[Rule], result: Any) -> list[dict[str, Any]]:
    found = [each.to_json_dict() for each in result.results]
    of_rule = {each["expectation_config"]["meta"]["rule"]: each for each in found}
    return [_report(table, rule, of_rule[rule.name]) for rule in rules]


def _report(table: str, rule: Rule, result: dict[str, Any]) -> dict[str, Any]:
    _raise_if_not_computed(table, rule, result)
    found = result["result"]
    rows = found.get("unexpected_index_list") or []
    kept = [_kept(row, rule.columns) for row in rows[:_NUM_KEPT]]
    return {
        "table": table,
        "name": rule.name,
        "type": rule.type,
        "severity": rule.severity,
        "success": bool(result["success"]),
        "observed": _plain(found.get("observed_value", found.get("unexpected_count"))),
        "num_unexpected": found.get("unexpected_count", 0),
        "unexpected": kept,
    }


def _kept(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """Returns a row's names that it has, and what the rule is about even where that is missing."""
    plain = {name: _plain(value) for name, value in row.items()}
    return {name: value for name, value in plain.items() if name in columns or not pd.isna(value)}


def _plain(value: Any) -> Any:
    """Turns numpy's scalars into Python's: for JSON, and to be read."""
    return value.item() if hasattr(value, "item") else value


def _raise_if_not_computed(table: str, rule: Rule, result: dict[str, Any]) -> None:
    info = result.get("exception_info") or {}
    # flat for the rule as a whole, or one entry for each metric that failed
    each_info = [info] if "raised_exception" in info else list(info.values())
    messages = [each["exception_message"] for each in each_info if each["raised_exception"]]
    if messages:
        raise ConfigError(
            f"validation.{table}.{rule.name}: {rule.type} cannot be computed with {rule.kwargs!r}: "
            f"{messages[0]}. Set it in conf/params/validation/<name>.yaml."
        )


def _describe(report: dict[str, Any]) -> str:
    """Says what a rule found, with its first rows."""
    if not report["num_unexpected"]:
        return f"{report['name']} ({report['type']}): observed {report['observed']!r}"
    rows = report["unexpected"][:_NUM_SHOWN]
    lines = "".join(f"\n    {_describe_row(row)}" for row in rows)
    rest = report["num_unexpected"] - len(rows)
    more = f"\n    and {rest} more" if rest > 0 else ""
    return f"{report['name']} ({report['type']}): {report['num_unexpected']} rows{lines}{more}"


def _describe_row(row: dict[str, Any]) -> str:
    named = dict.fromkeys([*_TERM_NAMES[:4], *_ROW_NAMES])
    names = [name for name in named if name in row] + [name for name in row if name not in named]
    values = [(name, repr(row[name])) for name in names]
    return ", ".join(
        f"{name} {value if len(value) <= _MAX_VALUE_LENGTH else value[:_MAX_VALUE_LENGTH] + '...'}"
        for name, value in values
    )
