"""The base of all settings: strict, frozen pydantic models whose errors name the full key.

A section of the configuration is one `Settings` class next to the code that uses it. Its bounds stand in its
fields, so that a configuration is refused in the same words as a call from Python:

    generator.guidance_scale: got -1.0; must be >= 0 and <= 100. Set it in conf/params/generator/<name>.yaml.

This module and every module that defines settings import no torch: each command of the project reads them.
"""

import re
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from stablerep.errors import ConfigError, shortened
from stablerep.nearest_name import must_be_one_of

# Keys that experiments set; every other top-level key is a group with files of its own.
_KEYS_OF_EXPERIMENTS = ("experiment_name", "seeds", "image_sets", "arms", "evaluation_sets")
_TYPES = {
    "int_type": "an integer",
    "float_type": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_OUT_OF_BOUNDS = ("greater_than_equal", "less_than_equal", "greater_than", "less_than", "finite_number")
_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


class SettingError(ValueError):
    """What a validator of a `Settings` raises for values that do not fit each other.

    Args:
        key: the field, or a path below the model; "" for the model itself.
        told: what was given and what is allowed, such as `got 3; must be <= 2`. The full key before it and
            the file behind it are added.
    """

    def __init__(self, key: str, told: str) -> None:
        """Takes the key and what is said of it."""
        super().__init__(told)
        self.key = key
        self.told = told


class Settings(BaseModel):
    """A section of the configuration, or a part of one.

    Types are strict: a string is no number and `true` is no integer, but an integer serves as a number. A key
    that no field reads is refused.

    Attributes:
        section: the key under which the values stand, for the messages of a direct call.
    """

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=()
    )
    section: ClassVar[str] = ""

    def __init__(self, **values: Any) -> None:
        """Checks the values; raises ConfigError as `read`."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _refusal(type(self), error, values, type(self).section) from None

    # pydantic calls an __init__ without this mark for nested models too, which would lose the outer key
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def read(cls, values: Any, key: str | None = None) -> Self:
        """Checks plain values, as a configuration or a JSON file holds them.

        Args:
            values: a mapping; settings that were read already are returned as they are.
            key: under which the values stand, for messages; None for the section's own.

        Raises:
            ConfigError: a key is unknown or missing, or a value is of the wrong type or out of range.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise _refusal(cls, error, values, cls.section if key is None else key) from None

    def changed(self, **values: Any) -> Self:
        """Returns the same settings with other values, checked as all are.

        Raises:
            ConfigError: as `read`.
        """
        return type(self)(**{**dict(self), **values})


def file_of(key: str) -> str:
    """Returns the file in which to set a key; a group's values stand under the group's own name."""
    section = re.split(r"[.\[]", key, maxsplit=1)[0]
    group = "experiment" if section in _KEYS_OF_EXPERIMENTS else section
    return f"conf/params/{group}/<name>.yaml"


def _names_a_class(target: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(target.get("_target_"), str):
        raise SettingError("_target_", "missing; must be the full name of a class, package.Class")
    return target


# A mapping with `_target_` and the arguments of the class that it names, which checks them itself.
Target = Annotated[dict[str, Any], AfterValidator(_names_a_class)]


def _refusal(model: type[Settings], error: ValidationError, values: Any, key: str) -> ConfigError:
    """Returns the error of the first fault; an unknown key goes first, for it may be what is missing."""
    faults = error.errors(include_url=False)
    fault = next((each for each in faults if each["type"] == "extra_forbidden"), faults[0])
    path = _path_of(fault, values)
    # the members of a union have one fault each
    kinds = [each["type"] for each in faults if _path_of(each, values) == path]
    own = fault.get("ctx", {}).get("error")
    told = own.told if isinstance(own, SettingError) else _told(model, fault, kinds, path)
    full = _joined(key, path)
    if isinstance(own, SettingError) and own.key:
        full = f"{full}.{own.key}" if full else own.key
    if fault["type"] == "missing" and isinstance(path[-1], int):
        full = _joined(key, path[:-1])
    stop = "" if told.endswith((".", "?")) else "."
    where = f" Set it in {file_of(full)}." if key or path or full else ""
    return ConfigError(f"{full or 'parameters'}: {told}{stop}{where if not told.endswith('?') else ''}")


def _joined(key: str, path: Sequence[str | int]) -> str:
    for part in path:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    return key


def _path_of(fault: Any, values: Any) -> tuple[str | int, ...]:
    """Returns where a fault is, without the tags that pydantic adds for the members of a union."""
    path: list[str | int] = []
    for place, part in enumerate(fault["loc"]):
        inner = _inner(values, part)
        is_last = place == len(fault["loc"]) - 1
        if inner is not None:
            path.append(part)
            (values,) = inner
        elif is_last and fault["type"] == "missing":
            path.append(part)
    return tuple(path)


def _inner(values: Any, part: str | int) -> tuple[Any] | None:
    """Returns what stands at a key, wrapped, or None where there is no such key."""
    if isinstance(values, Mapping):
        return (values[part],) if part in values else None
    if isinstance(part, int):
        return (values[part],) if isinstance(values, Sequence) and part < len(values) else None
    return (getattr(values, part),) if hasattr(values, part) and isinstance(values, Settings) else None


def _told(model: type[Settings], fault: Any, kinds: Sequence[str], path: Sequence[str | int]) -> str:
    kind, got, context = fault["type"], fault["input"], fault.get("ctx", {})
    if kind in ("extra_forbidden", "missing"):
        return _told_of_key(model, fault, path)
    annotation, metadata = _field_at(model, path)
    if kind == "literal_error":
        must = must_be_one_of(str(got), map(str, get_args(annotation)))
    elif kind in ("too_short", "too_long", "string_too_short"):
        bound = context.get("min_length", context.get("max_length"))
        must = f"must have at {'most' if kind == 'too_long' else 'least'} {bound} values"
    elif kind in _OUT_OF_BOUNDS:
        must = f"must be {_bounds(metadata) or 'a finite number'}"
    else:
        words = dict.fromkeys(_TYPES[each] for each in kinds if each in _TYPES)
        must = f"must be {' or '.join(words)}" if words else fault["msg"]
    return f"got {shortened(list(got) if isinstance(got, tuple) else got)}; {must}"


def _told_of_key(model: type[Settings], fault: Any, path: Sequence[str | int]) -> str:
    owner, _ = _field_at(model, path[:-1])
    if fault["type"] == "extra_forbidden":
        known = owner.model_fields if _is_settings(owner) else model.model_fields
        return f"unknown key; {must_be_one_of(str(path[-1]), known)}"
    if isinstance(path[-1], int):
        return f"got {list(fault['input'])!r}; must have {len(get_args(owner))} values"
    return "missing; must be given"


def _bounds(metadata: Sequence[Any]) -> str:
    found = [
        f"{sign} {getattr(each, name):g}"
        for each in metadata
        for name, sign in _SIGNS.items()
        if hasattr(each, name)
    ]
    return " and ".join(found)


def _is_settings(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Settings)


def _field_at(model: type[Settings], path: Sequence[str | int]) -> tuple[Any, list[Any]]:
    """Returns the type at a path below a model, and the bounds beside it."""
    kind: Any = model
    metadata: list[Any] = []
    for part in path:
        kind, _ = _bare(kind)
        if _is_settings(kind):
            field = kind.model_fields.get(part)
            if field is None:
                return Any, []
            kind, metadata = field.annotation, list(field.metadata)
        else:
            inner = [each for each in get_args(kind) if each is not Ellipsis]
            kind, metadata = (inner[-1], []) if inner else (Any, [])
    kind, further = _bare(kind)
    return kind, metadata + further


def _bare(kind: Any) -> tuple[Any, list[Any]]:
    """Takes `| None` and `Annotated` off a type; returns what was annotated beside it."""
    metadata: list[Any] = []
    while True:
        origin = get_origin(kind)
        if origin is Annotated:
            kind, *beside = get_args(kind)
            for each in beside:
                metadata += each.metadata if isinstance(each, FieldInfo) else [each]
        elif origin in (Union, types.UnionType):
            kind = next(each for each in get_args(kind) if each is not type(None))
        else:
            return kind, metadata


# A field of several values: YAML and JSON have lists, frozen settings hold tuples.
Values = Field(strict=False)
