"""The gates: checks of the caption set before images are made, and of the images before training.

Rules are Great Expectations', from the configuration; the Data Docs are built without a network. A
failing rule ends the run here, with its rows, before money is spent. Importing Great Expectations takes
seconds, so it happens inside the functions.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stablerep.errors import ConfigError, GateError
from stablerep.validation.rules import Rule, build_expectation, parse_rules

logger = logging.getLogger(__name__)

# What names a row in messages, reports and Data Docs, where the table has it.
_ROW_NAMES = ("caption_id", "image_index", "text", "line")
_NUM_SHOWN = 10  # rows of a rule in a message
_NUM_KEPT = 100  # rows of a rule in the report: enough to look at, and bounded for millions of rows
_MAX_VALUE_LENGTH = 120  # characters of one value in a message


def check_captions(
    frame: pd.DataFrame, rules: Sequence[Mapping[str, Any]], docs_folder: Path
) -> dict[str, Any]:
    """Checks the curated captions.

    Rules may also name the columns `num_words` and `folded_text` (the text without case, punctuation
    and symbols; captions that share it say the same), which are computed here.

    Args:
        frame: columns caption_id, text, source, licence, line.
        rules: entries of `gates.captions`, see `stablerep.validation.rules`.
        docs_folder: the Data Docs go into its folder `captions`.

    Returns:
        {"success": bool, "rules": [...]}, ready for JSON; a rule has name, type, severity, success,
        observed, num_unexpected and unexpected (the first 100 rows that it does not allow). `success`
        is that of the rules with severity fail.

    Raises:
        ConfigError: a rule cannot be read or computed.
        GateError: a rule with severity fail does not hold.
    """
    # a missing text has no number of words
    num_words = frame["text"].str.split().map(len, na_action="ignore")
    folded = frame["text"].str.casefold().str.replace(r"[\W_]+", " ", regex=True).str.strip()
    return _check("captions", frame.assign(num_words=num_words, folded_text=folded), rules, docs_folder)


def check_images(
    frame: pd.DataFrame, rules: Sequence[Mapping[str, Any]], docs_folder: Path
) -> dict[str, Any]:
    """Checks the image set; as `check_captions`, the entries are those of `gates.images`.

    Args:
        frame: the image manifest with what was measured of each image: decodable, width_px, height_px,
            pixel_std, num_images_of_caption.
        rules: entries of `gates.images`.
        docs_folder: the Data Docs go into its folder `images`.
    """
    return _check("images", frame, rules, docs_folder)


def _check(
    gate: str, frame: pd.DataFrame, entries: Sequence[Mapping[str, Any]], docs_folder: Path
) -> dict[str, Any]:
    rules = parse_rules(gate, entries)
    site = Path(docs_folder).absolute() / gate
    results = _validate(gate, frame, rules, site)
    reports = [_report(gate, rule, results[rule.name]) for rule in rules]
    broken = [each for each in reports if not each["success"]]
    failed = [each for each in broken if each["severity"] == "fail"]
    for each in broken:
        if each["severity"] == "warn":
            logger.warning("gate %s: %s (severity warn)", gate, _describe(each))
    page = site / "index.html"
    if failed:
        shown = "\n".join(f"- {_describe(each)}" for each in failed)
        raise GateError(
            f"gate {gate}: {len(failed)} of {len(rules)} rules failed on {len(frame)} rows:\n{shown}\n"
            f"See {page}. Mend the rows where they come from, or change gates.{gate} in "
            "conf/params/validation/<name>.yaml."
        )
    logger.info("gate %s: %d rules hold on %d rows; see %s", gate, len(rules), len(frame), page)
    return {"success": True, "rules": reports}


def _validate(gate: str, frame: pd.DataFrame, rules: list[Rule], site: Path) -> dict[str, dict[str, Any]]:
    """Runs the rules and builds the Data Docs; returns Great Expectations' result by rule name."""
    import great_expectations as gx

    expectations = [build_expectation(gate, rule, list(frame.columns)) for rule in rules]
    context = _context(gate, site)
    asset = context.data_sources.add_pandas(gate).add_dataframe_asset(gate)
    suite = context.suites.add(gx.ExpectationSuite(name=gate))
    for expectation in expectations:
        suite.add_expectation(expectation)
    definition = gx.ValidationDefinition(
        name=gate, data=asset.add_batch_definition_whole_dataframe(gate), suite=suite
    )
    checkpoint = gx.Checkpoint(
        name=gate,
        validation_definitions=[context.validation_definitions.add(definition)],
        result_format={
            "result_format": "COMPLETE",
            "unexpected_index_column_names": [name for name in _ROW_NAMES if name in frame],
        },
    )
    outcome = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": frame})
    # pages of earlier runs have timestamps in their paths and no link from the new index
    shutil.rmtree(site / "validations", ignore_errors=True)
    context.build_data_docs(site_names=[gate])
    (validated,) = outcome.run_results.values()
    results = [result.to_json_dict() for result in validated.results]
    return {each["expectation_config"]["meta"]["rule"]: each for each in results}


def _context(gate: str, site: Path) -> Any:
    """Makes a context that keeps everything in memory but its site, and sends nothing anywhere."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        data_docs_sites={
            gate: {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "store_backend": {
                    "class_name": "TupleFilesystemStoreBackend",
                    "base_directory": str(site),
                },
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            }
        },
        progress_bars={"globally": False, "metric_calculations": False},
        analytics_enabled=False,
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _report(gate: str, rule: Rule, result: dict[str, Any]) -> dict[str, Any]:
    _raise_if_not_computed(gate, rule, result)
    found = result["result"]
    rows = found.get("unexpected_index_list") or []
    kept = [{name: _plain(value) for name, value in row.items()} for row in rows[:_NUM_KEPT]]
    return {
        "name": rule.name,
        "type": rule.type,
        "severity": rule.severity,
        "success": bool(result["success"]),
        "observed": _plain(found.get("observed_value", found.get("unexpected_count"))),
        "num_unexpected": found.get("unexpected_count", 0),
        "unexpected": kept,
    }


def _plain(value: Any) -> Any:
    """Turns numpy's scalars into Python's: for JSON, and to be read."""
    return value.item() if hasattr(value, "item") else value


def _raise_if_not_computed(gate: str, rule: Rule, result: dict[str, Any]) -> None:
    info = result.get("exception_info") or {}
    # flat for the rule as a whole, or one entry for each metric that failed
    each_info = [info] if "raised_exception" in info else list(info.values())
    messages = [each["exception_message"] for each in each_info if each["raised_exception"]]
    if messages:
        raise ConfigError(
            f"gates.{gate}.{rule.name}: {rule.type} cannot be computed with {rule.kwargs!r}: "
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
    names = [name for name in _ROW_NAMES if name in row]
    names += [name for name in row if name not in names]
    values = [(name, repr(row[name])) for name in names]
    return ", ".join(
        f"{name} {value if len(value) <= _MAX_VALUE_LENGTH else value[:_MAX_VALUE_LENGTH] + '...'}"
        for name, value in values
    )
