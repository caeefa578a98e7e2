"""Views: what an augmentation may do and what it must leave alone."""

import pytest
import torch

from stablerep.errors import ConfigError
from stablerep.training.settings import AugmentationSettings
from stablerep.training.views import Augmentation
from tests.stablerep.training import measured_views

NOTHING = {
    "min_crop": 1.0,
    "jitter_probability": 0.0,
    "grey_probability": 0.0,
    "blur_probability": 0.0,
    "flip_probability": 0.0,
}


def chain(size_px, **changed):
    """Returns views of which only the parts named are on."""
    torch.manual_seed(0)
    return Augmentation(AugmentationSettings(**(NOTHING | changed)), size_px)


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


def is_share(flags, share):
    """Tells whether flags may be drawn with a chance: four deviations, beyond it once in 16,000 times."""
    bound = 4 * (share * (1 - share) / len(flags)) ** 0.5
    return abs(float(flags.float().mean()) - share) <= bound + 0.005  # what is changed by nearly nothing


@pytest.mark.parametrize("min_crop", [0.3, 0.8])
def test_a_crop_has_the_least_area_and_more_at_any_place(min_crop):
    found = measured_views.crops(chain(measured_views.SIDE, min_crop=min_crop), 400)
    area = found["area"]
    assert min_crop - 0.03 < area.min() < min_crop + 0.05
    # long crops that do not fit are drawn again, so that large areas are rarer than small ones
    assert min_crop + 0.25 * (1 - min_crop) < area.mean() < min_crop + 0.52 * (1 - min_crop)
    free = 1 - min_crop**0.5  # what the smallest crop leaves of a side
    for place in ("x", "y"):
        assert found[place].mean() == pytest.approx(0.5, abs=0.03)
        assert found[place].amax() - found[place].amin() > 0.6 * free
    assert not found["mirrored"].any()


def test_without_a_crop_an_image_stays_where_it_is():
    found = measured_views.crops(chain(measured_views.SIDE), 40)
    assert found["area"].min() > 0.95


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_images_are_mirrored_with_their_chance(share):
    found = measured_views.crops(chain(measured_views.SIDE, flip_probability=share), 400)
    assert is_share(found["mirrored"], share)


@pytest.mark.parametrize(("jitter", "share"), [(0.2, 1.0), (0.4, 0.3)])
def test_colours_are_jittered_within_the_strength_and_a_quarter_of_it_for_the_hue(jitter, share):
    found = measured_views.colours(chain(12, jitter=jitter, jitter_probability=share), 400)
    for name in ("brightness", "contrast", "saturation"):
        changed = found[name][(found[name] - 1).abs() > 1e-4]
        assert is_share((found[name] - 1).abs() > 1e-4, share)
        assert 1 - jitter - 0.01 < changed.min() < 1 - 0.9 * jitter, name
        assert 1 + 0.9 * jitter < changed.max() < 1 + jitter + 0.01, name
    hue = found["hue"].abs()
    assert is_share(hue > 1e-5, share)
    assert 0.9 * jitter / 4 < hue.max() < jitter / 4 + 1e-4


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_images_are_grey_with_their_chance(share):
    assert is_share(measured_views.is_grey(chain(12, grey_probability=share), 400), share)


@pytest.mark.parametrize(("sigmas", "share"), [((0.1, 2.0), 1.0), ((1.0, 3.0), 0.4), ((0.6, 0.7), 1.0)])
def test_images_are_blurred_by_the_sigmas_that_are_set_with_their_chance(sigmas, share):
    found = measured_views.blur_sigmas(chain(48, blur_probability=share, blur_sigma=sigmas), 400)
    blurred = found[found > 0.3]  # an edge shows no smaller one
    least = max(sigmas[0], 0.3)
    span = sigmas[1] - sigmas[0]
    assert is_share(found > 0.3, share * (sigmas[1] - least) / span)
    assert least - 0.02 < blurred.min() < least + 0.1 * span + 0.02
    assert sigmas[1] - 0.1 * span < blurred.max() < 1.03 * sigmas[1]
    assert blurred.mean() == pytest.approx((least + sigmas[1]) / 2, abs=0.1 * span)


def test_each_image_gets_a_view_of_its_own(noise):
    everything = {"min_crop": 0.3, "jitter_probability": 1.0, "blur_probability": 1.0}
    alike = noise[:1].expand(8, -1, -1, -1)
    drawn = views(alike, **everything).flatten(1)
    assert float(torch.pdist(drawn).min()) > 0.1


def test_a_blur_of_a_small_image_is_cut_at_its_sides():
    small = torch.rand(2, 3, 4, 4)
    assert views(small, blur_probability=1.0, blur_sigma=(2.0, 2.0)).std() < 0.5 * small.std()


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"downsample_probability": 1.5}, "downsample_probability"),
        ({"downsample_px": ()}, r"downsample_px: got \[\]; must have at least 1"),
        ({"downsample_px": (0,)}, r"downsample_px\[0\]"),
        ({"blur_sigma": (0.0, 1.0)}, r"blur_sigma\[0\]: got 0\.0; must be > 0"),
        ({"blur_sigma": (2.0, 1.0)}, r"blur_sigma: got \[2\.0, 1\.0\]; the first must be <= the second"),
    ],
)
def test_a_value_out_of_range_is_named(changed, name):
    with pytest.raises(ConfigError, match=rf"training\.augmentation\.{name}"):
        AugmentationSettings(**changed)
