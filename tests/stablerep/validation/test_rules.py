"""A rule that cannot be read is an error that names its key."""

from typing import Any

import pytest

from stablerep.errors import ConfigError
from stablerep.validation.rules import NOT_EMPTY, Rule, build_expectation, parse_rules

UNIQUE = {"type": "expect_column_values_to_be_unique"}


def test_rules_are_read_and_begin_with_the_row_count() -> None:
    entry = {**UNIQUE, "kwargs": {"column": "text"}, "severity": "warn"}
    assert parse_rules("captions", {"unique": entry}) == [
        NOT_EMPTY,
        Rule("unique", UNIQUE["type"], {"column": "text"}, "warn"),
    ]
    assert parse_rules("captions", {"unique": UNIQUE})[1] == Rule("unique", UNIQUE["type"], {}, "fail")
    assert parse_rules("captions", {}) == [NOT_EMPTY]


def test_a_rule_that_is_null_is_taken_away() -> None:
    assert [rule.name for rule in parse_rules("images", {"a": None, "b": UNIQUE})] == [NOT_EMPTY.name, "b"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"u": "unique"}, r"validation\.captions\.u: got 'unique'; must be a mapping"),
        (
            {"u": {**UNIQUE, "kwarg": {}}},
            r"validation\.captions\.u\.kwarg: unknown key; must be one of kwargs, .* Did you mean 'kwargs'",
        ),
        ({"u": {}}, r"validation\.captions\.u\.type: got None; must be a string"),
        ({"u": {**UNIQUE, "severity": "error"}}, r"severity: got 'error'; must be fail or warn"),
        ({"u": {**UNIQUE, "kwargs": ["column"]}}, r"kwargs: got \['column'\]; must be a mapping"),
        ({"at_least_one_row": UNIQUE}, r"at_least_one_row: got a rule of this name"),
    ],
)
def test_malformed_entries_are_refused(entries: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_rules("captions", entries)


@pytest.mark.parametrize("name", ["expect_column_values_to_be_unique", "ExpectColumnValuesToBeUnique"])
def test_types_may_be_written_both_ways(name: str) -> None:
    built = build_expectation("captions", Rule("r", name, {"column": "text"}), ["text"])
    assert type(built).__name__ == "ExpectColumnValuesToBeUnique"
    assert built.severity == "critical"
    assert built.meta == {"rule": "r"}


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("expect_nonsense", {}, r"validation\.captions\.r\.type: got 'expect_nonsense'"),
        ("ExpectColumnValuesToBeUniqe", {}, "Did you mean 'ExpectColumnValuesToBeUnique'"),
        ("Expectation", {}, "type: got 'Expectation'"),
        (
            "ExpectColumnValuesToBeUnique",
            {"column": "txt"},
            r"kwargs\.column: got 'txt'; must be one of .* Did you mean 'text'",
        ),
        ("ExpectColumnValuesToBeUnique", {"column": "text", "colour": 1}, "colour: extra fields"),
        ("ExpectColumnValuesToBeUnique", {}, "column: field required"),
        ("ExpectColumnValuesToBeBetween", {"column": "text", "min_value": "a"}, "min_value: "),
    ],
)
def test_what_great_expectations_does_not_know_is_refused(
    name: str, kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build_expectation("captions", Rule("r", name, kwargs), ["caption_id", "text"])
