"""No hand is in two parts of the split."""

import itertools

import numpy as np
import pytest
import torch

from stablerep.digit_scenes.hands import (
    NUM_HELD_OUT,
    NUM_VALIDATION,
    SPLITS,
    load_hands,
    split_hands,
)


def test_no_hand_is_in_two_splits_and_every_one_is_in_one() -> None:
    ids = {split: set(load_hands(split).hand_ids.tolist()) for split in SPLITS}
    for first, second in itertools.combinations(SPLITS, 2):
        assert not ids[first] & ids[second]
    assert set.union(*ids.values()) == set(range(1797))


def test_no_image_of_a_hand_is_in_two_splits() -> None:
    # the ids could differ and the pixels be the same: the source must hold no image twice over a split
    seen = {split: {row.numpy().tobytes() for row in load_hands(split).strokes} for split in SPLITS}
    for first, second in itertools.combinations(SPLITS, 2):
        assert not seen[first] & seen[second]


def test_split_sizes_are_frozen() -> None:
    assert len(load_hands("held_out")) == NUM_HELD_OUT == 450
    assert len(load_hands("validation")) == NUM_VALIDATION == 200
    assert len(load_hands("fit")) == 1797 - 450 - 200


def test_classes_are_as_frequent_in_each_split() -> None:
    whole = torch.cat([load_hands(split).digits for split in SPLITS]).bincount() / 1797
    for split in SPLITS:
        hands = load_hands(split)
        assert ((hands.digits.bincount() / len(hands)) - whole).abs().max() < 0.02


def test_strokes_have_the_documented_shape_and_range() -> None:
    hands = load_hands("fit")
    assert hands.strokes.shape == (len(hands), 8, 8)
    assert hands.strokes.dtype == torch.float32
    assert hands.strokes.min() == 0
    assert hands.strokes.max() == 1
    assert hands.hand_ids.dtype == hands.digits.dtype == torch.int64


def test_split_is_a_function_of_its_seed() -> None:
    digits = np.arange(1797) % 10
    again = split_hands(digits)
    assert all(np.array_equal(split_hands(digits)[name], again[name]) for name in SPLITS)
    assert not np.array_equal(split_hands(digits, 1)["held_out"], again["held_out"])


def test_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of fit, validation, held_out"):
        load_hands("test")
