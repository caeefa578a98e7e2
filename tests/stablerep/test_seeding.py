"""Seeds are functions of their parts and of nothing else."""

import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from stablerep.seeding import numpy_generator, seed_everything, seed_of, torch_generator


def test_seed_is_frozen() -> None:
    # another value would make other images of the same captions, and nobody would be told
    assert seed_of("caption", "c-0000000000000000", 0) == 3325418011963422518


def test_parts_are_kept_apart_and_typed() -> None:
    seeds = {seed_of("a", "bc"), seed_of("ab", "c"), seed_of("abc"), seed_of(1), seed_of("1")}
    assert len(seeds) == 5
    assert seed_of("a", 1) != seed_of(1, "a")


def test_seeds_fit_torch_and_numpy() -> None:
    seeds = [seed_of("range", index) for index in range(1000)]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62  # the upper bits are in use
    torch.Generator().manual_seed(max(seeds))
    np.random.default_rng(max(seeds))


def test_text_beyond_ascii_is_a_part_too() -> None:
    assert seed_of("ä") != seed_of("a")


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_seed_is_the_same_in_another_process(hash_seed: str) -> None:
    code = "from stablerep.seeding import seed_of; print(seed_of('x', 3))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        text=True,
        env={"PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1"},
    )
    assert int(done.stdout) == seed_of("x", 3)


def test_generators_draw_alike_for_equal_parts() -> None:
    first, second = (torch.rand(4, generator=torch_generator("a", 1)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, torch.rand(4, generator=torch_generator("a", 2)))
    assert np.array_equal(numpy_generator("a").random(4), numpy_generator("a").random(4))


def test_seed_everything_reaches_random_numpy_and_torch() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    seed_everything("s", 0)
    first = draw()
    assert all(a != b for a, b in zip(first, draw(), strict=True))
    seed_everything("s", 0)
    assert draw() == first
