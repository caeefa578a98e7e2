"""`--params`: raw items in their order, with lists in them."""

import pytest

from pipelines.config.params_option import parse_params
from stablerep.errors import ConfigError


def test_values_are_typed_and_keys_stay_as_they_are() -> None:
    parsed = parse_params("experiment=smoke, a.b=4,a.c=2e-4,a.d=null,a.e=true,a.f=${g.h}")
    assert parsed == {"experiment": "smoke", "a.b": 4, "a.c": 2e-4, "a.d": None, "a.e": True, "a.f": "${g.h}"}


def test_a_group_and_its_key_share_a_name() -> None:
    parsed = parse_params("generator.size_px=256,generator=sdxl_turbo")
    assert list(parsed.items()) == [("generator.size_px", 256), ("generator", "sdxl_turbo")]


def test_the_last_of_two_items_with_one_key_counts_in_its_place() -> None:
    assert list(parse_params("a=1,b=2,a=3").items()) == [("b", 2), ("a", 3)]


def test_commas_in_brackets_do_not_split() -> None:
    parsed = parse_params("method=[simclr,clip],arms.a={method: clip, images: real},seeds=[1,2]")
    assert parsed == {
        "method": ["simclr", "clip"], "arms.a": {"method": "clip", "images": "real"}, "seeds": [1, 2],
    }  # fmt: skip


def test_nothing_is_nothing() -> None:
    assert parse_params("") == {}


@pytest.mark.parametrize("text", ["seed", "=1", "seed=1,b", "a=[1"])
def test_what_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--params"):
        parse_params(text)
