"""The rules of a gate as they stand in the configuration, and as Great Expectations knows them.

    unique_caption_id:                         # what messages and reports call it
      type: expect_column_values_to_be_unique  # or the class's name, ExpectColumnValuesToBeUnique
      kwargs: {column: caption_id}
      severity: fail                           # or warn: report only; the default is fail
    no_missing_text: null                      # takes a rule of a file that this one goes on from away

Source of the types: https://greatexpectations.io/expectations
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from stablerep.errors import ConfigError
from stablerep.nearest_name import must_be_one_of, nearest_name

SEVERITIES = ("fail", "warn")
_WHERE = "Set it in conf/params/validation/<name>.yaml."
# Keys that name a column, in every type of Great Expectations that takes columns.
COLUMN_KEYS = ("column", "column_A", "column_B")


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: unique in its table.
        type: an expectation's class name, or the same in snake case.
        kwargs: what the expectation takes.
        severity: `fail` ends the run, `warn` only reports.
    """

    name: str
    type: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    severity: str = "fail"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rule names: one, or the two that it compares."""
        return tuple(str(self.kwargs[key]) for key in COLUMN_KEYS if self.kwargs.get(key) is not None)


# In every gate: an empty table passes each rule about rows, and says nothing.
NOT_EMPTY = Rule("at_least_one_row", "ExpectTableRowCountToBeBetween", {"min_value": 1})


def parse_rules(table: str, entries: Mapping[str, Mapping[str, Any] | None]) -> list[Rule]:
    """Reads the entries of `validation.<table>`; the rule that the table is not empty comes first.

    Args:
        table: the key under `validation`, for messages.
        entries: name -> type, kwargs, severity; what is None is left out.

    Raises:
        ConfigError: a key or severity is unknown, the type is missing, or the name is taken.
    """
    if NOT_EMPTY.name in entries:
        raise ConfigError(
            f"validation.{table}.{NOT_EMPTY.name}: got a rule of this name; must be another name, for "
            f"this rule stands in every gate. {_WHERE}"
        )
    kept = [(name, entry) for name, entry in entries.items() if entry is not None]
    return [NOT_EMPTY, *(_parse(f"validation.{table}.{name}", name, entry) for name, entry in kept)]


def _parse(key: str, name: str, entry: Mapping[str, Any]) -> Rule:
    if not isinstance(entry, Mapping):
        raise ConfigError(f"{key}: got {entry!r}; must be a mapping with type, kwargs and severity. {_WHERE}")
    known = [each.name for each in fields(Rule) if each.name != "name"]
    for word in entry:
        if word not in known:
            raise ConfigError(f"{key}.{word}: unknown key; {must_be_one_of(str(word), known)} {_WHERE}")
    kind = entry.get("type")
    if not isinstance(kind, str) or not kind:
        raise ConfigError(f"{key}.type: got {kind!r}; must be a string. {_WHERE}")
    kwargs = entry.get("kwargs") or {}
    if not isinstance(kwargs, Mapping):
        raise ConfigError(f"{key}.kwargs: got {kwargs!r}; must be a mapping. {_WHERE}")
    severity = entry.get("severity", "fail")
    if severity not in SEVERITIES:
        allowed = " or ".join(SEVERITIES)
        raise ConfigError(f"{key}.severity: got {severity!r}; must be {allowed}. {_WHERE}")
    return Rule(name, kind, dict(kwargs), severity)


def build_expectation(table: str, rule: Rule, columns: Sequence[str]) -> Any:
    """Makes the rule's expectation.

    Args:
        table: the key under `validation`, for messages.
        rule: from `parse_rules`.
        columns: of the table that it will see.

    Raises:
        ConfigError: the type is unknown, its kwargs are wrong, or it names a column that is not there.
    """
    import great_expectations.expectations as known

    key = f"validation.{table}.{rule.name}"
    camel = rule.type
    if "_" in camel:
        camel = "".join(part.capitalize() for part in camel.split("_"))
    expectation_class = getattr(known, camel, None)
    types = sorted(name for name in dir(known) if name.startswith("Expect") and name != "Expectation")
    if camel not in types or expectation_class is None:
        near = nearest_name(camel, types, cutoff=0.4)
        hint = f" Did you mean {near!r}?" if near else ""
        raise ConfigError(
            f"{key}.type: got {rule.type!r}; must be an expectation of Great Expectations.{hint} {_WHERE}"
        )
    for name in COLUMN_KEYS:
        column = rule.kwargs.get(name)
        if column is not None and column not in columns:
            raise ConfigError(
                f"{key}.kwargs.{name}: got {column!r}; {must_be_one_of(str(column), columns)} {_WHERE}"
            )
    try:
        return expectation_class(
            **rule.kwargs,
            severity="critical" if rule.severity == "fail" else "warning",
            notes=rule.name,
            meta={"rule": rule.name},
        )
    except (TypeError, ValueError) as error:  # pydantic's errors are ValueErrors
        faults: list[dict[str, Any]] = getattr(error, "errors", lambda: [])()
        said = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in faults)
        raise ConfigError(
            f"{key}.kwargs: got {rule.kwargs!r}; {camel} does not take them: {said or error}. {_WHERE}"
        ) from error
