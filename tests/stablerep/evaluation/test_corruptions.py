"""Corruptions of images, against independent computations."""

import warnings

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from stablerep.evaluation.corruptions import KINDS, Benchmark, Corruption, Kind


def picture(size_px: int) -> Tensor:
    """Returns a photograph's likeness: smooth colours with an edge."""
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(size=(3, size_px, size_px)), (0, size_px / 8, size_px / 8))
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    smooth[:, : size_px // 2] = 1 - smooth[:, : size_px // 2]
    return torch.from_numpy((255 * smooth).round().astype(np.uint8))


def distance(one: Tensor, other: Tensor) -> float:
    return float((one.float() - other.float()).abs().mean())


@pytest.mark.parametrize("benchmark", ["imagenet_c", "cifar10_c"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_strength_changes_an_image_more_than_the_one_before(kind: Kind, benchmark: Benchmark) -> None:
    size_px = {"imagenet_c": 224, "cifar10_c": 32}[benchmark]
    image = picture(size_px)
    found = [Corruption(kind, strength, benchmark, 0)(image, "a") for strength in range(1, 6)]
    assert all(each.dtype == torch.uint8 and each.shape == (3, size_px, size_px) for each in found)
    distances = [distance(each, image) for each in found]
    assert distances == sorted(distances) and len(set(distances)) == 5 and distances[0] > 0


def test_noise_has_the_deviation_of_its_strength() -> None:
    grey = torch.full((3, 224, 224), 128, dtype=torch.uint8)
    found = Corruption("gaussian_noise", 1, "imagenet_c", 0)(grey, "a").double() / 255
    assert float(found.std()) == pytest.approx(0.08, rel=0.02)
    assert float(found.mean()) == pytest.approx(128 / 255, abs=0.001)


def test_noise_is_a_function_of_image_seed_and_strength_alone() -> None:
    image, before = picture(32), torch.get_rng_state()
    noise = Corruption("gaussian_noise", 3, "cifar10_c", 0)
    assert torch.equal(noise(image, "a"), noise(image, "a"))
    assert torch.equal(torch.get_rng_state(), before)
    for other, name in (
        (noise, "b"),
        (Corruption("gaussian_noise", 3, "cifar10_c", 1), "a"),
        (Corruption("gaussian_noise", 4, "cifar10_c", 0), "a"),
    ):
        assert not torch.equal(noise(image, "a"), other(image, name))


def test_contrast_draws_each_channel_to_its_mean() -> None:
    image = torch.zeros(3, 32, 32, dtype=torch.uint8)
    image[0, :16], image[1, :8] = 200, 80  # means 100 and 20
    found = Corruption("contrast", 2, "cifar10_c", 0)(image, "a")  # half of it is left
    assert found[0, 0, 0] == 150 and found[0, -1, 0] == 50
    assert found[1, 0, 0] == 50 and found[1, -1, 0] == 10
    assert not found[2].any()


def test_blur_is_scipy_s_away_from_the_border() -> None:
    image = picture(224)
    found = Corruption("gaussian_blur", 2, "imagenet_c", 0)(image, "a")
    expected = gaussian_filter(image.double().numpy(), (0, 2, 2), truncate=4)
    inner = slice(9, -9)
    np.testing.assert_allclose(found[:, inner, inner], expected[:, inner, inner], atol=1)


def test_jpeg_keeps_an_image_whose_blocks_are_of_one_colour() -> None:
    blocks = torch.randint(256, (1, 4, 4), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    image = blocks.repeat(3, 1, 1).repeat_interleave(8, dim=1).repeat_interleave(8, dim=2)  # JPEG's blocks
    jpeg = Corruption("jpeg", 1, "cifar10_c", 0)
    lost = distance(jpeg(picture(32), "a"), picture(32))
    assert distance(jpeg(image, "a"), image) < 1 < lost


def test_jpeg_is_torchvision_s() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its decoder moves to another package
        from torchvision.transforms.v2.functional import jpeg

        image = picture(224)
        expected = jpeg(image, 10)
    found = Corruption("jpeg", 4, "imagenet_c", 0)(image, "a")
    assert distance(found, expected) < 0.5 < distance(image, expected)


def test_images_are_brought_to_the_side_that_strengths_are_made_for() -> None:
    found = Corruption("contrast", 1, "cifar10_c", 0)(picture(224)[:, :180], "a")
    assert found.shape == (3, 32, 32)


def test_every_number_is_in_the_key() -> None:
    keys = {
        Corruption(kind, strength, benchmark, seed).key
        for kind in KINDS
        for strength in range(1, 6)
        for benchmark in ("imagenet_c", "cifar10_c")
        for seed in (0, 1)
    }
    assert len(keys) == 4 * 5 * 2 * 2
