"""Mappings to dataclasses."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from pipelines.config.typed import typed
from stablerep.errors import ConfigError


@dataclass
class Inner:
    number: int
    share: float = 0.5


@dataclass
class Outer:
    inner: Inner
    names: list[str] = field(default_factory=list)
    limit: int | None = None
    free: dict[str, Any] = field(default_factory=dict)


def test_a_mapping_becomes_the_tree_and_defaults_are_filled_in() -> None:
    value = typed(Outer, {"inner": {"number": 1}, "names": ["a"], "free": {"x": [1, None]}})
    assert value == Outer(Inner(1, 0.5), ["a"], None, {"x": [1, None]})


def test_a_whole_number_serves_as_a_number_but_not_the_other_way() -> None:
    assert isinstance(typed(Inner, {"number": 1, "share": 1}).share, float)
    with pytest.raises(ConfigError, match=r"number: got 1\.0; must be a whole number"):
        typed(Inner, {"number": 1.0})


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({}, "inner: missing"),
        ({"inner": {"numbr": 1}}, "inner.numbr: unknown key; must be one of number, share. Did you mean"),
        ({"inner": 3}, "inner: got 3; must be a mapping"),
        ({"inner": {"number": 1}, "names": "a"}, "names: got 'a'; must be a list"),
        ({"inner": {"number": 1}, "names": [1]}, "names[0]: got 1; must be a text"),
        ({"inner": {"number": 1}, "limit": "x"}, "limit: got 'x'; must be a whole number"),
        ({"inner": {"number": True}}, "inner.number: got True; must be a whole number"),
    ],
)
def test_a_fault_names_the_full_key(value: dict, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        typed(Outer, value)
    assert str(caught.value).startswith(told)
