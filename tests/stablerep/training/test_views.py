"""Views: what an augmentation may do and what it must leave alone."""

import pytest
import torch

from stablerep.errors import ConfigError
from stablerep.training.settings import AugmentationSettings
from stablerep.training.views import Augmentation

NOTHING = {
    "min_crop": 1.0,
    "jitter_probability": 0.0,
    "grey_probability": 0.0,
    "blur_probability": 0.0,
    "flip_probability": 0.0,
}


def views(images, **changed):
    torch.manual_seed(0)
    return Augmentation(AugmentationSettings(**(NOTHING | changed)), images.shape[-1])(images)


@pytest.fixture
def noise():
    """Images whose finest detail is all there is."""
    return torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def test_down_and_up_sampling_takes_detail_from_its_share_of_images(noise):
    plain = views(noise)
    changed = views(noise, downsample_probability=0.5, downsample_px=(4,))
    kept = changed.flatten(1).std(1) > 0.8 * plain.flatten(1).std(1)
    assert 16 < int(kept.sum()) < 48
    assert changed.shape == noise.shape
    everything = views(noise, downsample_probability=1.0, downsample_px=(4,))
    assert (everything.flatten(1).std(1) < 0.8 * plain.flatten(1).std(1)).all()


def test_a_side_that_is_not_smaller_changes_nothing(noise):
    torch.testing.assert_close(
        views(noise, downsample_probability=1.0, downsample_px=(16, 64)), noise, atol=1e-5, rtol=0
    )


def test_images_are_flipped_at_most_where_the_corpus_allows_it(noise):
    torch.testing.assert_close(views(noise), noise, atol=1e-5, rtol=0)
    torch.testing.assert_close(views(noise, flip_probability=1.0), noise.flip(-1), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"downsample_probability": 1.5}, "downsample_probability"),
        ({"downsample_px": ()}, r"downsample_px: got \[\]; must have at least 1"),
        ({"downsample_px": (0,)}, r"downsample_px\[0\]"),
    ],
)
def test_a_value_out_of_range_is_named(changed, name):
    with pytest.raises(ConfigError, match=rf"training\.augmentation\.{name}"):
        AugmentationSettings(**changed)
