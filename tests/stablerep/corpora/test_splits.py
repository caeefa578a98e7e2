"""Splits that are given stay, missing ones follow from a hash, and nothing else moves an image."""

import numpy as np
import pytest

from stablerep.corpora.splits import (
    DEFAULT_SHARES,
    assign_splits,
    check_own_names,
    check_shares,
    normalised_splits,
    uniform_of,
)
from stablerep.errors import ConfigError, DataError

KEYS = [f"image {number}" for number in range(5000)]


def share(splits: list[str], split: str) -> float:
    return splits.count(split) / len(splits)


def test_all_splits_are_made_in_the_given_shares() -> None:
    splits, given = assign_splits(KEYS, [None] * len(KEYS), DEFAULT_SHARES)
    assert [share(splits, each) for each in DEFAULT_SHARES] == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
    assert not given.any()


def test_an_image_keeps_its_split_when_others_are_added() -> None:
    few, _ = assign_splits(KEYS[::7], [None] * len(KEYS[::7]), DEFAULT_SHARES)
    all_, _ = assign_splits(KEYS, [None] * len(KEYS), DEFAULT_SHARES)
    assert few == all_[::7]


def test_a_missing_validation_split_is_taken_from_train() -> None:
    old = ["train"] * 4000 + ["test"] * 1000
    splits, given = assign_splits(KEYS, old, DEFAULT_SHARES)
    assert splits[4000:] == old[4000:]
    assert share(splits[:4000], "validation") == pytest.approx(1 / 9, abs=0.015)
    assert set(splits[:4000]) == {"train", "validation"}
    np.testing.assert_array_equal(given, [a == b for a, b in zip(splits, old, strict=True)])


def test_given_splits_stay() -> None:
    old = (["train"] * 3 + ["validation", "test"]) * 1000
    splits, given = assign_splits(KEYS, old, DEFAULT_SHARES)
    assert splits == old
    assert given.all()


def test_images_of_one_unit_get_one_split() -> None:
    units = [key[:9] for key in KEYS]
    splits, _ = assign_splits(units, [None] * len(KEYS), DEFAULT_SHARES)
    assert all(len({s for s, u in zip(splits, units, strict=True) if u == unit}) == 1 for unit in set(units))


def test_without_train_there_is_an_error() -> None:
    with pytest.raises(DataError, match="only the splits test have images"):
        assign_splits(KEYS[:2], ["test", "test"], DEFAULT_SHARES)


def test_usual_names_and_own_names_stand_for_splits() -> None:
    names = ["Train", "val", "dev", "TEST", "holdout", None, ""]
    assert normalised_splits(names, "x", {"holdout": "test"}) == [
        "train", "validation", "validation", "test", "test", None, None
    ]  # fmt: skip
    with pytest.raises(DataError, match="the splits 'holdout' are unknown"):
        normalised_splits(names, "x")
    with pytest.raises(ConfigError, match="split_names"):
        check_own_names({"holdout": "holdout"})


def test_own_names_win_over_usual_ones() -> None:
    assert normalised_splits(["val"], "x", {"val": "test"}) == ["test"]


@pytest.mark.parametrize(
    "shares", [{"train": 1.0}, {**DEFAULT_SHARES, "test": 0}, {**DEFAULT_SHARES, "test": 0.2}]
)
def test_shares_must_be_of_all_splits_and_sum_to_one(shares: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"corpus\.split_shares"):
        check_shares(shares)


def test_the_hash_is_fixed() -> None:
    # computed by hand: sha256("a") starts with ca978112ca1bbdca
    assert uniform_of("a") == pytest.approx(0xCA978112 / 2**32, abs=1e-9)
