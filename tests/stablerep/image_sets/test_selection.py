"""How many images of a set are used."""

import pandas as pd
import pytest

from stablerep.errors import DataError
from stablerep.image_sets.selection import cut, in_random_order

IMAGES = pd.DataFrame({"caption_id": list("aaabbbcc"), "number": range(8)})


def test_the_first_captions_and_the_first_images_of_each_are_kept() -> None:
    kept = cut(IMAGES, "set", num_captions=2, images_per_caption=2)
    assert kept["number"].tolist() == [0, 1, 3, 4]


def test_a_number_of_images_is_exact() -> None:
    assert cut(IMAGES, "set", num_images=5)["number"].tolist() == [0, 1, 2, 3, 4]


def test_more_images_than_there_are_is_refused() -> None:
    with pytest.raises(DataError, match=r"'set': has 4 images; image_sets.set.num_images, .* asks for 5"):
        cut(IMAGES, "set", num_captions=2, images_per_caption=2, num_images=5)


def test_a_random_order_keeps_captions_together_and_is_stable_under_added_ones() -> None:
    order = in_random_order(IMAGES, "seed", 1)
    assert sorted(order["number"]) == list(range(8))
    assert order.groupby("caption_id")["number"].apply(list)["a"] == [0, 1, 2]
    more = pd.concat([IMAGES, pd.DataFrame({"caption_id": list("dde"), "number": range(8, 11)})])
    without = in_random_order(more, "seed", 1).query("number < 8").reset_index(drop=True)
    pd.testing.assert_frame_equal(without, order)


def test_another_seed_gives_another_order() -> None:
    many = pd.DataFrame({"caption_id": [f"c{row}" for row in range(50)]})
    first, second = (in_random_order(many, seed)["caption_id"].tolist() for seed in (0, 1))
    assert first != second
