"""Seeds as hashes of what they are for, so that no draw depends on order, batch or process."""

import hashlib
import json
import random
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def seed_of(*parts: int | str) -> int:
    """Returns a 63-bit seed that is a function of the parts and of nothing else.

    Parts are kept apart (`("a", "bc")` differs from `("ab", "c")`) and typed (`1` differs from `"1"`).
    63 bits because `torch.Generator.manual_seed` and numpy both take them. numpy uses all of them; torch's
    generator of a CPU keeps the lower 32, so that of n draws n^2 / 2^33 pairs have one stream: nothing to a
    training run's thousands of batches. The noise of millions of images comes from
    `stablerep.generation.diffusion.noise`, which uses all.
    """
    text = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def torch_generator(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Returns a generator seeded by `seed_of(*parts)`.

    Args:
        *parts: of the seed.
        device: on which it draws; a CPU's generator keeps 32 bits of the seed. The CPU's draws are the same
            on every machine; a GPU's are drawn where needed, without a copy, and differ from the CPU's.
    """
    return torch.Generator(device).manual_seed(seed_of(*parts))


def numpy_generator(*parts: int | str) -> np.random.Generator:
    """Returns a numpy generator seeded by `seed_of(*parts)`."""
    return np.random.default_rng(seed_of(*parts))


def seed_everything(*parts: int | str) -> None:
    """Seeds the global states of random, numpy and torch: libraries such as kornia draw from them."""
    seed = seed_of(*parts)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_states() -> dict[str, Tensor]:
    """Returns torch's global random states: `cpu` and, if there is a GPU, `cuda`."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def restore_random_states(states: Mapping[str, Tensor]) -> None:
    """Sets torch's global random states as `random_states` returned them; a missing one stays as it is."""
    if "cpu" in states:
        torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
