"""An arm that takes as long as another one, drawing its images included."""

from pathlib import Path

import pandas as pd
import pytest

from stablerep.errors import DataError
from stablerep.image_sets.image_set import ImageSet
from stablerep.training.arms import TrainedArm
from stablerep.training.equal_compute import seconds_to_draw, views_of_equal_compute


def image_set(name, parts, facts):
    """Returns a set with the given number of images of each part: part -> (source, number)."""
    rows = [part for part, (_, number) in parts.items() for _ in range(number)]
    images = pd.DataFrame({"part": rows, "caption_id": [f"c{row}" for row in range(len(rows))]})
    sources = {part: source for part, (source, _) in parts.items()}
    return ImageSet(name, "mixture", images, pd.DataFrame({"text": []}), sources, Path(), None, facts)


def generated(seconds=100.0, kept=400):
    """Returns the facts of a generated set."""
    return {"num_images": kept, "generation": {"total_seconds": seconds, "seconds": 0.0}}


REAL = image_set("real", {"real": ("corpus", 400)}, {"num_images": 400})
DRAWN = image_set("drawn", {"drawn": ("generated", 400)}, generated())
HALF = image_set(
    "half", {"real": ("corpus", 100), "drawn": ("generated", 100)}, {"of": {"real": {}, "drawn": generated()}}
)


def arm(views=51200, rate=256.0):
    """Returns a trained arm as far as its cost is asked for."""
    history = pd.DataFrame({"images": [views // 2, views], "images_per_second": [1.0, rate]})
    return TrainedArm("simclr", "simclr", "drawn", 0, {}, {}, history)


def test_only_generated_images_take_time_and_a_mixture_its_share_of_them():
    assert seconds_to_draw(REAL) == 0
    assert seconds_to_draw(DRAWN) == pytest.approx(100)
    assert seconds_to_draw(HALF) == pytest.approx(25)


def test_real_images_get_the_views_for_which_drawing_left_no_time():
    assert views_of_equal_compute(REAL, DRAWN, arm(), 128) == 51200 + 25600
    assert views_of_equal_compute(HALF, DRAWN, arm(), 128) == 51200 + 19200
    assert views_of_equal_compute(DRAWN, DRAWN, arm(), 128) == 51200


def test_views_are_those_of_whole_steps_and_one_step_at_least():
    assert views_of_equal_compute(REAL, DRAWN, arm(rate=0.5), 128) == 51200
    assert views_of_equal_compute(REAL, DRAWN, arm(rate=1.0), 128) == 51200 + 128
    assert views_of_equal_compute(DRAWN, REAL, arm(), 128) == 51200 - 25600
    assert views_of_equal_compute(DRAWN, REAL, arm(rate=1e6), 128) == 128


def test_a_set_whose_ledger_has_no_seconds_is_refused():
    unknown = image_set("drawn", {"drawn": ("generated", 4)}, generated(seconds=None))
    with pytest.raises(DataError, match=r"image set 'drawn'.*kedro run --namespaces image_sets.drawn"):
        seconds_to_draw(unknown)
