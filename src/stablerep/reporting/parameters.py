"""A configuration as `a.b` -> text, and the keys in which several configurations differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """A key that does not have the same value in all configurations.

    Attributes:
        key: such as `generator.guidance_scale`.
        values: of each configuration; None if it lacks the key.
    """

    key: str
    values: tuple[str | None, ...]


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Returns `a.b` -> text."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{key}.")
        else:
            flat[key] = str(value)
    return flat


def find_differences(configurations: list[Mapping[str, Any]]) -> list[Difference]:
    """Returns the keys in which configurations differ, by name."""
    flat = [flatten(each) for each in configurations]
    found = []
    for key in sorted(set().union(*flat)):
        values = tuple(each.get(key) for each in flat)
        if len(set(values)) > 1:
            found.append(Difference(key, values))
    return found
