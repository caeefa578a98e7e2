"""The policy's decisions on small tables."""

import numpy as np
import pandas as pd
import pytest

from stablerep.alignment.policy import (
    find_threshold,
    more_indices,
    reject,
    wanted_rows,
    with_alignment,
)
from stablerep.alignment.settings import AlignmentPolicy
from stablerep.errors import ConfigError


def table(*rows):
    """Returns a manifest of (caption, index, alignment[, state])."""
    whole = [(*row, "intact")[:4] for row in rows]
    return pd.DataFrame(whole, columns=["caption_id", "image_index", "alignment", "state"])


def test_scores_are_joined_by_caption_and_index_and_an_image_without_one_has_nan():
    manifest = table(("a", 0, 9.0), ("a", 1, 9.0), ("b", 0, 9.0))
    scores = pd.DataFrame({"caption_id": ["b", "a"], "image_index": [0, 1], "alignment": [0.5, 0.25]})
    joined = with_alignment(manifest, scores)
    assert list(joined["caption_id"] + joined["image_index"].astype(str)) == ["a0", "a1", "b0"]
    np.testing.assert_array_equal(joined["alignment"], [np.nan, 0.25, 0.5])


def test_a_share_drops_the_worst_of_the_first_drawn_images():
    manifest = table(*((f"c{n}", 0, n / 10) for n in range(10)), ("c0", 1, -1.0))
    threshold = find_threshold(manifest, 1, AlignmentPolicy(drop_share=0.2))
    assert threshold == pytest.approx(0.2)
    assert list(reject(manifest, threshold)["state"]) == ["rejected_misaligned"] * 2 + ["intact"] * 8 + [
        "rejected_misaligned"
    ]


def test_of_a_bound_and_a_share_the_stricter_counts():
    manifest = table(*((f"c{n}", 0, n / 10) for n in range(10)))
    assert find_threshold(manifest, 1, AlignmentPolicy(min_alignment=0.5, drop_share=0.1)) == 0.5
    assert find_threshold(manifest, 1, AlignmentPolicy(min_alignment=0.05, drop_share=0.1)) == 0.1
    assert find_threshold(manifest, 1, AlignmentPolicy()) is None
    assert find_threshold(manifest, 1, AlignmentPolicy(drop_share=0.09)) is None


def test_the_bound_itself_is_kept():
    manifest = reject(table(("a", 0, 0.5), ("a", 1, 0.4999)), 0.5)
    assert list(manifest["state"]) == ["intact", "rejected_misaligned"]


def test_a_blanked_image_stays_blanked_and_a_milder_policy_takes_rejected_ones_back():
    manifest = table(("a", 0, np.nan, "rejected_unsafe"), ("a", 1, 0.1, "rejected_misaligned"))
    assert list(reject(manifest, None)["state"]) == ["rejected_unsafe", "intact"]
    assert list(reject(manifest, 0.5)["state"]) == ["rejected_unsafe", "rejected_misaligned"]


def test_a_caption_gets_as_many_further_images_as_it_lacks_up_to_the_bound():
    rows = table(
        *(("none", i, 0.9, "rejected_misaligned") for i in range(2)),
        ("one", 0, 0.9),
        ("one", 1, 0.9, "rejected_unsafe"),
        *(("full", i, 0.9) for i in range(2)),
    )
    first = more_indices(rows, 2, {}, 3)
    assert first == {"none": (2, 3), "one": (2,)}
    # all of the further ones are bad as well
    worse = pd.concat(
        [rows, table(*(("none", i, 0, "rejected_misaligned") for i in (2, 3)), ("one", 2, 0.9))]
    )
    assert more_indices(worse, 2, first, 3) == {"none": (2, 3, 4), "one": (2,)}
    worst = pd.concat([worse, table(("none", 4, 0, "rejected_misaligned"))])
    assert more_indices(worst, 2, {"none": (2, 3, 4), "one": (2,)}, 3) == {"none": (2, 3, 4), "one": (2,)}


def test_a_policy_without_remakes_wants_no_further_images():
    assert more_indices(table(("a", 0, 0.1, "rejected_misaligned")), 1, {}, 0) == {}


def test_spare_images_are_not_wanted():
    rows = table(("a", 0, 0.1), ("a", 1, 0.2), ("a", 2, 0.3), ("b", 0, 0.4), ("b", 2, 0.5))
    kept = wanted_rows(rows, 1, {"b": (2,)})
    assert list(kept["alignment"]) == [0.1, 0.4, 0.5]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"min_alignment": 1.5}, "min_alignment: got 1.5; must be >= -1 and <= 1"),
        ({"drop_share": 0.6}, "drop_share: got 0.6; must be >= 0 and <= 0.5"),
        ({"on_reject": "redo"}, "on_reject: got 'redo'; must be one of drop, remake"),
        ({"on_reject": "remake"}, "max_remakes: got 0; must be >= 1"),
        ({"max_remakes": 2}, "max_remakes: got 2; must be 0 where on_reject is drop"),
    ],
)
def test_a_policy_out_of_range_is_refused(values, words):
    with pytest.raises(ConfigError, match=words.replace("(", r"\(")):
        AlignmentPolicy(**values)


def test_a_share_drops_as_many_as_its_decimals_say():
    manifest = table(*((f"c{n:03}", 0, n / 100) for n in range(100)))
    for percent in range(1, 51):  # 0.29 * 100 is 28.999999999999996
        assert find_threshold(manifest, 1, AlignmentPolicy(drop_share=percent / 100)) == percent / 100
