"""Messages say what failed, what was got, what is allowed, what to do."""

import math

import pytest

from stablerep import errors
from stablerep.errors import ConfigError, DataError, GateError, StableRepError, check_range, shortened


@pytest.mark.parametrize(
    "name", ["ConfigError", "DataError", "GateError", "GeneratorError", "TrainingError", "BusyError"]
)
def test_every_error_is_one_a_user_may_see(name: str) -> None:
    assert issubclass(getattr(errors, name), StableRepError)


def test_a_closed_gate_is_a_data_error() -> None:
    assert issubclass(GateError, DataError)


def refused(value: float, minimum: float | None = None, maximum: float | None = None) -> bool:
    try:
        check_range("x.share", value, minimum, maximum)
    except ConfigError:
        return True
    return False


@pytest.mark.parametrize("value", [0, 0.5, 1])
def test_values_within_the_bounds_and_the_bounds_themselves_pass(value: float) -> None:
    assert not refused(value, 0, 1)


@pytest.mark.parametrize("value", [-0.001, 1.001, math.nan, math.inf, -math.inf])
def test_values_outside_and_nan_are_refused(value: float) -> None:
    with pytest.raises(ConfigError):
        check_range("x.share", value, 0, 1)


def test_an_open_bound_bounds_nothing() -> None:
    assert not refused(1e9, 0) and refused(-1e9, 0)
    assert not refused(-1e9, None, 0) and refused(1e9, None, 0)
    assert not refused(5)


def test_message_has_the_key_the_value_the_bounds_and_the_place() -> None:
    with pytest.raises(ConfigError) as caught:
        check_range("generator.guidance_scale", -1.0, 0, 100, where="conf/x.yaml")
    assert str(caught.value) == (
        "generator.guidance_scale: got -1.0; must be >= 0 and <= 100. Set it in conf/x.yaml."
    )


def test_message_names_only_the_bounds_there_are() -> None:
    with pytest.raises(ConfigError, match=r"^x: got 3; must be <= 2\.$"):
        check_range("x", 3, maximum=2)


def test_a_long_value_is_shown_in_part_and_one_that_python_cannot_write_by_its_size() -> None:
    assert shortened("a") == "'a'"
    assert shortened("a" * 500) == f"'{'a' * 199}... (502 characters)"
    assert shortened(10**5000) == "an integer of 16610 bits"
    assert shortened([10**5000]) == "a value"
