"""What settings take, and the messages of what they refuse."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import pytest
from pydantic import Field, ValidationError, model_validator

from stablerep.errors import ConfigError
from stablerep.settings import SettingError, Settings, Target, Values

SOURCE = Path(__file__).parents[2] / "src" / "stablerep"
MODULES = sorted(
    ".".join(("stablerep", *path.relative_to(SOURCE).with_suffix("").parts))
    for path in (*SOURCE.rglob("settings.py"), *SOURCE.rglob("recipe.py"), SOURCE / "methods" / "batch.py")
    if path.parent.name != "evaluation"
)


class Inner(Settings):
    section: ClassVar[str] = "outer.inner"

    share: float = Field(0.5, ge=0, le=1)
    number: int = Field(1, ge=1)
    side: int | None = Field(None, ge=8, lt=64)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.number > 1000:
            raise SettingError("number", f"got {self.number!r}; must be small")
        return self


class Outer(Settings):
    section: ClassVar[str] = "outer"

    inner: Inner
    by_name: dict[str, Inner] = Field(default_factory=dict)
    column: str | int = "caption"
    kind: Literal["one", "two"] = "one"
    pair: Annotated[tuple[float, float], Values] = (0.0, 1.0)
    sides: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Values] = Field((1,), min_length=1)
    texts: list[str] = Field(default_factory=list)
    target: Target | None = None
    switch: bool = False


def refused(values: Any, read: Callable[..., Any] = Outer.read) -> str:
    with pytest.raises(ConfigError) as caught:
        read(values)
    return str(caught.value)


def test_a_mapping_becomes_the_tree_and_defaults_are_filled_in() -> None:
    read = Outer.read({"inner": {"number": 2}, "by_name": {"a": {"share": 1}}, "pair": [0, 0.5]})
    assert read == Outer(inner=Inner(number=2), by_name={"a": Inner(share=1.0)}, pair=(0.0, 0.5))
    assert Outer.read(read) is read


def test_an_integer_serves_as_a_number_but_not_the_other_way() -> None:
    assert isinstance(Inner.read({"share": 1}).share, float)
    assert isinstance(Inner.read({"number": 4}).number, int)
    assert "number: got 1.0; must be an integer" in refused({"inner": {"number": 1.0}})


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "outer.inner: missing; must be given. Set it in conf/params/outer/<name>.yaml."),
        (
            {"inner": {"numbr": 2}},
            "outer.inner.numbr: unknown key; must be one of number, share, side. Did you",
        ),
        ({"iner": {}}, "outer.iner: unknown key; must be one of by_name, column, inner"),
        ({"inner": 3}, "outer.inner: got 3; must be a mapping."),
        (3, "outer: got 3; must be a mapping."),
        ({"inner": {"share": "0.5"}}, "outer.inner.share: got '0.5'; must be a number."),
        ({"inner": {"share": True}}, "outer.inner.share: got True; must be a number."),
        ({"inner": {"share": -1}}, "outer.inner.share: got -1; must be >= 0 and <= 1. Set it in conf/params"),
        ({"inner": {"share": float("nan")}}, "outer.inner.share: got nan; must be >= 0 and <= 1"),
        ({"inner": {"share": float("inf")}}, "outer.inner.share: got inf; must be >= 0 and <= 1"),
        ({"inner": {"number": 0}}, "outer.inner.number: got 0; must be >= 1."),
        ({"inner": {"number": "4"}}, "outer.inner.number: got '4'; must be an integer"),
        ({"inner": {"number": True}}, "outer.inner.number: got True; must be an integer"),
        ({"inner": {"number": 2000}}, "outer.inner.number: got 2000; must be small. Set it in"),
        ({"inner": {"side": 64}}, "outer.inner.side: got 64; must be >= 8 and < 64"),
        (
            {"inner": {}, "by_name": {"a": {"share": 2}}},
            "outer.by_name.a.share: got 2; must be >= 0 and <= 1",
        ),
        (
            {"inner": {}, "by_name": {"a": {"number": 2000}}},
            "outer.by_name.a.number: got 2000; must be small",
        ),
        ({"inner": {}, "column": 1.5}, "outer.column: got 1.5; must be a string or an integer."),
        ({"inner": {}, "kind": "tow"}, "outer.kind: got 'tow'; must be one of one, two. Did you mean 'two'?"),
        ({"inner": {}, "pair": [0]}, "outer.pair: got [0]; must have 2 values"),
        ({"inner": {}, "pair": [0, 1, 2]}, "outer.pair: got [0, 1, 2]; must have at most 2 values"),
        ({"inner": {}, "pair": ["a", 1]}, "outer.pair[0]: got 'a'; must be a number"),
        ({"inner": {}, "pair": 1}, "outer.pair: got 1; must be a list"),
        ({"inner": {}, "sides": []}, "outer.sides: got []; must have at least 1 values"),
        ({"inner": {}, "sides": [1, 0]}, "outer.sides[1]: got 0; must be >= 1."),
        ({"inner": {}, "texts": "a"}, "outer.texts: got 'a'; must be a list"),
        ({"inner": {}, "texts": [1]}, "outer.texts[0]: got 1; must be a string"),
        (
            {"inner": {}, "target": {"path": "a"}},
            "outer.target._target_: missing; must be the full name of a",
        ),
        ({"inner": {}, "switch": 1}, "outer.switch: got 1; must be true or false"),
    ],
)
def test_a_refusal_names_the_full_key_and_what_is_allowed(values: Any, told: str) -> None:
    assert refused(values).startswith(told)


def test_a_direct_call_is_refused_in_the_same_words() -> None:
    with pytest.raises(ConfigError, match=r"^outer\.inner\.share: got 2; must be >= 0 and <= 1\. Set it in"):
        Inner(share=2)
    with pytest.raises(ConfigError, match=r"^outer\.by_name\.a\.share: got 2"):
        Outer.read({"inner": {}, "by_name": {"a": {"share": 2}}})


def test_settings_that_serve_elsewhere_are_read_under_that_key() -> None:
    message = refused({"share": 2}, lambda values: Inner.read(values, "image_sets.w8"))
    assert message.startswith("image_sets.w8.share: got 2")
    assert message.endswith("Set it in conf/params/experiment/<name>.yaml.")


def test_changed_settings_are_checked_and_the_old_ones_stay() -> None:
    outer = Outer(inner=Inner(number=2))
    assert outer.changed(kind="two").kind == "two"
    assert (outer.kind, outer.changed(kind="two").inner) == ("one", Inner(number=2))
    with pytest.raises(ConfigError, match=r"outer\.kind: got 'three'"):
        outer.changed(kind="three")


def test_settings_cannot_be_set() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Inner().number = 3  # type: ignore[misc]


def test_modules_of_settings_import_nothing_that_takes_long() -> None:
    assert len(MODULES) > 10
    heavy = "torch numpy pandas polars diffusers sklearn"
    code = f"import sys, {', '.join(MODULES)}; print(*set({heavy!r}.split()) & set(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == ""
