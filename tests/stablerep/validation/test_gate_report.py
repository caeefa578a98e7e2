"""A gate's report is held against its form before a page shows it."""

from pathlib import Path
from typing import Any

import pytest

from stablerep.errors import DataError
from stablerep.validation.gate_report import check_gate_report

RULE = {"name": "x", "severity": "warn", "success": False, "observed": None, "unexpected": []}


@pytest.mark.parametrize("key", ["name", "severity", "success", "observed"])
def test_a_report_passes_with_all_that_pages_show_of_a_rule_and_not_without(key: str) -> None:
    report: dict[str, Any] = {"success": True, "rules": []}
    check_gate_report(report)
    check_gate_report(report | {"rules": [RULE]})
    cut = {name: value for name, value in RULE.items() if name != key}
    with pytest.raises(DataError, match=rf"report of a gate: rules\.1\.{key}: "):
        check_gate_report(report | {"rules": [RULE, cut]})


def test_the_report_of_a_gate_passes(tmp_path: Path) -> None:
    import pandas as pd

    from stablerep.validation.gate import check_real_images

    columns = {"image_id": "a", "caption_id": "c", "text": "", "evaluation_text": None}
    sizes = {"width_px": 8, "height_px": 8, "duplicate_of": None}
    table = pd.DataFrame([{**columns, **sizes}])
    kwargs = {"column": "width_px", "min_value": 4}
    rules = {"real_images": {"wide": {"type": "expect_column_values_to_be_between", "kwargs": kwargs}}}
    report = check_real_images(table, rules, tmp_path)
    check_gate_report(report)
    assert {rule["name"]: rule["success"] for rule in report["rules"]}["wide"] is True


@pytest.mark.parametrize(
    ("report", "fault"),
    [
        ([], "the whole"),
        (None, "the whole"),
        ({}, "success"),
        ({"success": "yes", "rules": []}, "success"),
        ({"success": True, "rules": {}}, "rules"),
        ({"success": True, "rules": [1]}, "rules.0"),
        ({"success": True, "rules": [RULE | {"severity": "fatal"}]}, "rules.0.severity"),
        ({"success": True, "rules": [{"name": "x"}]}, "rules.0.severity"),
    ],
)
def test_another_form_names_the_key(report: Any, fault: str) -> None:
    with pytest.raises(DataError, match=f"report of a gate: {fault}: "):
        check_gate_report(report)
