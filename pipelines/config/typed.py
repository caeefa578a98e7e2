"""Turns a plain mapping into a tree of dataclasses; every fault names the full key.

Omegaconf's structured configs would do most of it, but they turn the string "4" into a number without
a word, and name no nearest key.
"""

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from stablerep.errors import ConfigError

T = TypeVar("T")
_PLAIN_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    type(None): "null",
}


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns the known names and, where there is a near one, a question about it."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"must be one of {', '.join(names)}.{hint}"


def unknown_key(prefix: str, name: str, known: Iterable[str]) -> ConfigError:
    """Returns the error for a key that nothing reads."""
    key = f"{prefix}.{name}" if prefix else name
    return ConfigError(f"{key}: unknown key; {nearest(name, known)}")


def field_names(kind: Any) -> list[str]:
    """Returns the fields of a dataclass, or nothing for any other type."""
    return [f.name for f in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []


def typed(kind: type[T], value: Any, key: str = "") -> T:
    """Returns `value` as the type `kind`.

    Args:
        kind: a dataclass, a plain type, `list[...]`, `dict[str, ...]`, a union with None, or Any.
        value: mappings, lists and scalars as YAML gives them.
        key: the full key, for messages.

    Raises:
        ConfigError: an unknown or missing key, or a value of the wrong type.
    """
    return typing.cast(T, _convert(kind, value, key))


def _convert(kind: Any, value: Any, key: str) -> Any:
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _dataclass(typing.cast(type, kind), value, key)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _union(args, value, key)
    if origin is list:
        items = _expect(list, value, key, "a list")
        return [_convert(args[0], item, f"{key}[{index}]") for index, item in enumerate(items)]
    if origin is dict:
        mapping = _expect(Mapping, value, key, "a mapping")
        return {name: _convert(args[1], item, f"{key}.{name}") for name, item in mapping.items()}
    return _scalar(kind, value, key)


def _expect(kind: Any, value: Any, key: str, words: str) -> Any:
    if not isinstance(value, kind):
        raise ConfigError(f"{key}: got {value!r}; must be {words}.")
    return value


def _scalar(kind: Any, value: Any, key: str) -> Any:
    # True is an int to Python, but no number to a reader of the file
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{key}: got {value!r}; must be {_PLAIN_NAMES.get(kind, kind.__name__)}.")
    return value


def _union(kinds: tuple[Any, ...], value: Any, key: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    return _convert(next(kind for kind in kinds if kind is not type(None)), value, key)


def _dataclass(kind: type, value: Any, key: str) -> Any:
    mapping = _expect(Mapping, value, key or "parameters", "a mapping")
    hints, fields = typing.get_type_hints(kind), dataclasses.fields(kind)
    names = [field.name for field in fields]
    for name in mapping:
        if name not in names:
            raise unknown_key(key, str(name), names)
    values = {}
    for field in fields:
        full = f"{key}.{field.name}" if key else field.name
        if field.name in mapping:
            values[field.name] = _convert(hints[field.name], mapping[field.name], full)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{full}: missing; must be given. Set it under conf/params/.")
    return kind(**values)
