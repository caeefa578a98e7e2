"""Perceptual hashes: what is nearly a copy is found as by comparing all with all, other images are not."""

import numpy as np
import pytest
import torch

from stablerep.digit_scenes.scenes import draw_scenes
from stablerep.generation.image_sets.image_hash import (
    HASH_BITS,
    MAX_DISTANCE_BITS,
    nearest_hashes,
    perceptual_hash,
)


@pytest.fixture(scope="module")
def scenes() -> torch.Tensor:
    return (draw_scenes(200, "fit", 0).images * 255).round().to(torch.uint8)


def _distance(one: bytes, two: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(two, "big")).bit_count()


def test_noise_and_brightness_change_few_bits_and_another_scene_many(scenes: torch.Tensor) -> None:
    hashes = [perceptual_hash(scene) for scene in scenes]
    noise = torch.randn(scenes.shape, generator=torch.Generator().manual_seed(0)) * 2
    for changed in (scenes + noise, scenes * 1.03):
        near = [perceptual_hash(each) for each in changed.clamp(0, 255).to(torch.uint8)]
        distances = [_distance(one, two) for one, two in zip(hashes, near, strict=True)]
        assert np.quantile(distances, 0.95) <= MAX_DISTANCE_BITS
    others = [_distance(hashes[i], hashes[j]) for i in range(200) for j in range(i)]
    assert min(others) > MAX_DISTANCE_BITS


def test_a_hash_is_of_the_picture_whatever_its_size(scenes: torch.Tensor) -> None:
    large = scenes[0].repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)
    assert _distance(perceptual_hash(large), perceptual_hash(scenes[0])) <= MAX_DISTANCE_BITS
    assert len(perceptual_hash(large)) * 8 == HASH_BITS


def _flipped(code: bytes, bits: list[int]) -> bytes:
    value = int.from_bytes(code, "big")
    for bit in bits:
        value ^= 1 << bit
    return value.to_bytes(32, "big")


def test_every_near_pair_is_found_as_by_comparing_all_with_all() -> None:
    rng = np.random.default_rng(0)
    hashes = [rng.bytes(32) for _ in range(150)]
    hashes += [_flipped(code, rng.permutation(256)[: n % 20].tolist()) for n, code in enumerate(hashes[:60])]
    distances, others = nearest_hashes(hashes)
    for i, code in enumerate(hashes):
        nearest = min(_distance(code, other) for j, other in enumerate(hashes) if j != i)
        if nearest <= MAX_DISTANCE_BITS:
            assert distances[i] == nearest
            assert _distance(code, hashes[others[i]]) == nearest
        else:
            assert np.isnan(distances[i])
            assert others[i] == -1


@pytest.mark.parametrize("bits", [MAX_DISTANCE_BITS, MAX_DISTANCE_BITS + 1])
def test_the_bound_itself_is_found_however_its_bits_lie(bits: int) -> None:
    code = bytes(range(32))
    # one bit in each of the bands: the hardest case
    distances, _ = nearest_hashes([code, _flipped(code, [16 * band for band in range(bits)])])
    assert np.isnan(distances).all() == (bits > MAX_DISTANCE_BITS)


def test_many_copies_are_all_found() -> None:
    distances, others = nearest_hashes([bytes(32)] * 300)
    assert (distances == 0).all()
    assert (others != np.arange(300)).all()


@pytest.mark.parametrize("num", [0, 1])
def test_fewer_than_two_have_no_neighbour(num: int) -> None:
    distances, others = nearest_hashes([bytes(32)] * num)
    assert len(distances) == num
    assert np.isnan(distances).all()
    assert (others == -1).all()
