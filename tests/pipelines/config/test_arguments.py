"""Arguments of a `_target_`, checked against the annotations of its class."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from pipelines.config.arguments import check_arguments, class_named
from pipelines.config.build import build
from stablerep.errors import ConfigError


class Example:
    """One argument of each kind of annotation."""

    def __init__(
        self,
        number: float,
        count: int | None = None,
        kind: Literal["a", "b"] = "a",
        names: Sequence[str] = (),
        sizes: "tuple[int, int]" = (1, 1),
        weights: Mapping[str, float] | None = None,
        path: Path | str = ".",
        unknown: "NotThere" = None,  # type: ignore[name-defined] # noqa: F821 -- as a type that is not imported
    ) -> None:
        self.given = {
            "number": number, "count": count, "kind": kind, "names": names, "sizes": sizes,
            "weights": weights, "path": path, "unknown": unknown,
        }  # fmt: skip


class Open:
    """Takes what it is given."""

    def __init__(self, inner: Any = None, **options: Any) -> None:
        self.inner, self.options = inner, options


def entry_of(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"_target_": f"tests.pipelines.config.test_arguments.{name}", **arguments}


def check(name: str = "Example", **arguments: Any) -> None:
    check_arguments("thing", entry_of(name, arguments), "x.yaml")


def built(name: str, **arguments: Any) -> Any:
    """Returns the object of an entry whose arguments are checked before it is made."""
    return build("thing", entry_of(name, arguments), "x.yaml")


@pytest.mark.parametrize(
    "arguments",
    [
        {"number": 1},
        {"number": 1.5, "count": 3, "kind": "b", "names": ["a"], "sizes": [2, 3], "weights": {"a": 1}},
        {"number": 0, "count": None, "path": "x/y", "unknown": 3},
    ],
)
def test_values_of_the_annotated_types_are_taken(arguments: dict[str, Any]) -> None:
    given = built("Example", **arguments).given
    assert {name: given[name] for name in arguments} == arguments


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, r"^thing\.number: missing; must be given for .*\.Example\. Set it in x\.yaml\."),
        ({"number": "1"}, r"^thing\.number: got '1'; must be a number\."),
        ({"number": True}, r"^thing\.number: got True; must be a number\."),
        ({"number": float("inf")}, r"^thing\.number: got inf; must be a finite number\."),
        ({"number": 1, "count": 1.5}, r"^thing\.count: got 1\.5; must be an integer or null\."),
        ({"number": 1, "kind": "c"}, r"^thing\.kind: got 'c'; must be one of a, b\."),
        ({"number": 1, "names": "abc"}, r"^thing\.names: got 'abc'; must be a list, each item a string\."),
        ({"number": 1, "sizes": [1]}, r"^thing\.sizes: got \[1\]; must be a list, each item an integer\."),
        ({"number": 1, "weights": {"a": "b"}}, r"must be a mapping of a string to a number or null\."),
        ({"number": 1, "path": 3}, r"^thing\.path: got 3; must be a path or a string\."),
        ({"number": 1, "numbr": 2}, r"^thing\.numbr: .*takes no such argument; .*Did you mean 'number'\?"),
    ],
)
def test_other_values_are_refused_with_what_is_allowed(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check(**arguments)


def test_a_class_that_takes_any_argument_is_given_any() -> None:
    plain = built("Open", a=1, inner={"a": [1, None]})
    assert (plain.inner, plain.options) == ({"a": [1, None]}, {"a": 1})
    assert built("Open", inner={"_target_": "collections.Counter"}).inner == Counter()


def test_an_entry_inside_of_an_entry_is_checked_too() -> None:
    with pytest.raises(ConfigError, match=r"^thing\.inner\._target_: got 'no\.Such'; must be the full name"):
        check("Open", inner={"_target_": "no.Such"})


@pytest.mark.parametrize("name", ["", "nope", "os.getcwd", "os.path", "..a", "a b", "json.Nope"])
def test_what_names_no_class_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^thing\._target_: got .* must be the full name of a class"):
        class_named("thing._target_", name, "x.yaml")
