"""Nested values, some of which are replaced."""

from collections.abc import Mapping
from typing import Any

from stablerep.errors import ConfigError


def merged(key: str, base: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Returns nested values with some replaced."""
    values = dict(base)
    for name, value in own.items():
        inner = base.get(name)
        if isinstance(inner, dict):
            if not isinstance(value, Mapping):
                keys = ", ".join(f"{key}.{name}.{each}" for each in inner)
                raise ConfigError(f"{key}.{name}: got {value!r}; must be set key by key: {keys}.")
            values[name] = merged(f"{key}.{name}", inner, value)
        else:
            values[name] = value
    return values
