"""Shares of other sets."""

from pathlib import Path

import pytest

from stablerep.errors import DataError
from stablerep.image_sets.corpus_set import from_corpus
from stablerep.image_sets.image_set import ImageSet
from stablerep.image_sets.mixture import mix
from stablerep.image_sets.opening import open_image_set
from tests.stablerep.image_sets.sets import Colours, amounts, corpus_table, no_takedowns, rendered


def parts(folder: Path) -> dict[str, ImageSet]:
    real = from_corpus("real", corpus_table(), folder / "real", no_takedowns(), amounts(), 0, "colours")
    return {"real": real, "drawn": rendered(folder, "drawn")}


def test_half_and_half_has_as_many_images_of_each_as_the_smaller_part_allows(tmp_path: Path) -> None:
    made = mix("half", parts(tmp_path), {"real": 0.5, "drawn": 0.5}, tmp_path / "half", amounts(), 0)
    assert made.images["part"].value_counts().to_dict() == {"real": 5, "drawn": 5}
    assert made.facts["num_images_of"] == {"real": 5, "drawn": 5}
    assert made.images["image_id"].is_unique


def test_shares_are_exact_to_one_image_and_relative_to_their_sum(tmp_path: Path) -> None:
    made = mix("mix", parts(tmp_path), {"real": 1, "drawn": 2}, tmp_path / "mix", amounts(num_images=8), 0)
    assert made.images["part"].value_counts().to_dict() == {"drawn": 5, "real": 3}


def test_more_images_than_a_part_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'real': has 5 images"):
        mix("mix", parts(tmp_path), {"real": 0.9, "drawn": 0.1}, tmp_path, amounts(num_images=10), 0)


def test_a_mixture_of_a_mixture_opens_every_part(tmp_path: Path) -> None:
    half = mix("half", parts(tmp_path), {"real": 0.5, "drawn": 0.5}, tmp_path / "half", amounts(), 0)
    other = rendered(tmp_path, "other", 1)
    both = mix(
        "both", {"half": half, "other": other}, {"half": 1, "other": 1}, tmp_path / "both", amounts(), 0
    )
    assert set(both.images["part"]) <= {"real", "drawn", "other"}
    source = open_image_set(both, Colours(), 4, 1.0)
    assert len(source.images) == len(both.images)
    assert [tuple(source.images.read(row).shape) for row in range(len(both.images))] == [(3, 4, 4)] * 6


def test_shares_of_captions_take_all_images_of_each_and_no_caption_twice(tmp_path: Path) -> None:
    one, other = rendered(tmp_path, "one", 1), rendered(tmp_path, "other", 3)
    assert set(one.captions["caption_id"]) == set(other.captions["caption_id"])
    number = len(one.captions)
    made = mix(
        "half",
        {"one": one, "other": other},
        {"one": 0.5, "other": 0.5},
        tmp_path,
        amounts(),
        0,
        shares_of="captions",
    )
    of_captions = made.images.groupby("caption_id")
    assert len(of_captions) == number
    assert (of_captions["part"].nunique() == 1).all()
    sizes = made.images.groupby(["part", "caption_id"]).size()
    assert set(sizes["one"]) == {1} and set(sizes["other"]) == {3}
    assert abs(len(sizes["one"]) - len(sizes["other"])) <= 1


def test_at_most_as_many_captions_or_images_as_another_set_has(tmp_path: Path) -> None:
    parts_of = {"other": rendered(tmp_path, "other", 3)}
    number = len(parts_of["other"].captions)
    for shares_of, most, expected in (
        ("captions", 2, (2, 6)),
        ("captions", 100, (number, 3 * number)),
        ("images", 4, (2, 4)),
        ("images", 100, (number, 3 * number)),
    ):
        wanted = amounts() | {"most": most}
        made = mix("some", parts_of, {"other": 1.0}, tmp_path, wanted, 0, shares_of=shares_of)
        assert (made.images["caption_id"].nunique(), len(made.images)) == expected
