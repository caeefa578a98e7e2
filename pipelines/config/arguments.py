"""Checks the arguments of a `_target_` against the signature and annotations of its class."""

import inspect
import json
import math
import pkgutil
import sys
import types
import typing
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from stablerep.errors import ConfigError, shortened
from stablerep.nearest_name import must_be_one_of

_TARGET = "_target_"
_EMPTY = inspect.Parameter.empty
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_PLAIN = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    type(None): "null",
    Path: "a path",
}


def check_arguments(key: str, entry: Mapping[str, Any], where: str) -> None:
    """Checks what can be known before the class is called, also for nested entries.

    Args:
        key: the entry's full key, for messages.
        entry: `_target_` and its arguments.
        where: the file in which to set it, for messages.

    Raises:
        ConfigError: there is no such class, it does not take an argument, or not one of that type.
    """
    target = class_named(f"{key}.{_TARGET}", entry[_TARGET], where)
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):  # of some classes that are written in C
        return
    named = [each.name for each in parameters.values() if each.kind not in _VARIABLE]
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    for name, parameter in parameters.items():
        if name not in entry and parameter.default is _EMPTY and parameter.kind not in _VARIABLE:
            raise ConfigError(
                f"{key}.{name}: missing; must be given for {entry[_TARGET]}. Set it in {where}."
            )
    for name, value in entry.items():
        if name == _TARGET:
            continue
        if name not in named and takes_any:
            continue
        if name not in named:
            raise ConfigError(
                f"{key}.{name}: {entry[_TARGET]} takes no such argument; "
                f"{must_be_one_of(name, named) if named else 'it takes none.'} Set it in {where}."
            )
        if isinstance(value, Mapping) and _TARGET in value:
            check_arguments(f"{key}.{name}", value, where)
        else:
            _check_value(f"{key}.{name}", value, _annotation(target, name), where)


def class_named(key: str, name: str, where: str) -> type:
    """Returns the class of a dotted name.

    Raises:
        ConfigError: there is none, or it is no class.
    """
    found = object_named(key, name, where, "a class, package.Class")
    if not inspect.isclass(found):
        raise ConfigError(
            f"{key}: got {name!r}, which is a {type(found).__name__}; must be the full name of a class. "
            f"Set it in {where}."
        )
    return found


def object_named(key: str, name: str, where: str, kind: str) -> Any:
    """Returns what a dotted name names; raises ConfigError, which says what `kind` is allowed, if nothing."""
    try:
        return pkgutil.resolve_name(name)  # Hydra's own function logs what it raises
    except Exception as error:  # also what a module raises on import
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"{key}: got {shortened(name)}; must be the full name of {kind} ({reason}). Set it in {where}."
        ) from error


def must_be_a(kind: Any, made: Any, key: str, target: str, where: str) -> Any:
    """Returns the object that a class made; raises ConfigError if it lacks a member of the protocol."""
    if isinstance(made, kind):
        return made
    needed = f"{kind.__module__}.{kind.__name__}"
    raise ConfigError(
        f"{key}.{_TARGET}: {target} is a {type(made).__name__}; it must have what {needed} lists. "
        f"Set it in {where}."
    )


def _check_value(key: str, value: Any, annotation: Any, where: str) -> None:
    if annotation is None:
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key}: got {value!r}; must be a finite number. Set it in {where}.")
    try:
        text = json.dumps(value)
    except TypeError:  # holds what is no YAML: made by the code, not by the user
        return
    if not _accepts(annotation, text):
        raise ConfigError(
            f"{key}: got {shortened(value)}; must be {_described(annotation)}. Set it in {where}."
        )


def _accepts(annotation: Any, text: str) -> bool:
    """Says whether a value is of a type; as JSON, where a list serves as a tuple and a string as a path."""
    from pydantic import ValidationError

    try:
        _adapter(annotation).validate_json(text, strict=True)
    except ValidationError:
        return False
    return True


@lru_cache
def _adapter(annotation: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False))


def _annotation(target: type, name: str) -> Any:
    """Returns the type of an argument; None where it is unknown, or is not made of plain values."""
    annotation = inspect.signature(target).parameters[name].annotation
    if annotation is _EMPTY:
        return None
    if isinstance(annotation, str):
        scope = vars(sys.modules[target.__module__]) | getattr(
            vars(target).get("__init__"), "__globals__", {}
        )
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            annotation = typing.get_type_hints(holder, globalns=scope)[name]
        except NameError:  # imported for type checkers only
            return None
    return annotation if _is_plain(annotation) else None


def _is_plain(annotation: Any) -> bool:
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return True
    if parts:
        return all(part is Ellipsis or _is_plain(part) for part in parts)
    return annotation in _PLAIN or annotation is Any


def _described(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_described, parts))
    if parts:
        inner = " or ".join(dict.fromkeys(_described(part) for part in parts if part is not Ellipsis))
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return f"a mapping of {_described(parts[0])} to {_described(parts[-1])}"
        return f"a list, each item {inner}"
    return _PLAIN.get(annotation, "a value")
