"""`--params` with lists in it."""

import pytest

from pipelines.config.params_option import parse_params
from stablerep.errors import ConfigError


def test_values_are_nested_and_typed() -> None:
    parsed = parse_params("experiment=smoke, a.b=4,a.c=2e-4,a.d=null,a.e=true")
    assert parsed == {"experiment": "smoke", "a": {"b": 4, "c": 2e-4, "d": None, "e": True}}


def test_commas_in_brackets_do_not_split() -> None:
    parsed = parse_params("method=[simclr,clip],arms=[{name: a, method: clip}],seed=1")
    assert parsed == {"method": ["simclr", "clip"], "arms": [{"name": "a", "method": "clip"}], "seed": 1}


def test_nothing_is_nothing() -> None:
    assert parse_params("") == {}


@pytest.mark.parametrize("text", ["seed", "=1", "seed=1,b", "a=[1"])
def test_what_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--params"):
        parse_params(text)
