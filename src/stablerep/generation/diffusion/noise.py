"""The noise that an image starts from: Philox, keyed with all bits of the image's seed.

torch's generator of a CPU keeps 32 of a seed's bits, so that of 1e8 images about a million pairs would start
from equal noise. Philox (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) takes all 63
bits of `seed_of`: of 1e8 images 0.0005 pairs are expected to share a seed. It is drawn on the CPU in float64
and rounded, whatever device draws the image, so that noise does not depend on the device.

numpy guarantees the words of a bit generator and not what its `Generator` makes of them
(https://numpy.org/neps/nep-0019-rng-policy.html); so the step from words to normal numbers is made here.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, Self, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from stablerep.errors import GeneratorError
from stablerep.generation.diffusion.settings import TORCH_NOISE

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_USE_TORCH = (
    "must be torch.randn alone. Choose another sampler, or set generator.noise to torch, in "
    "conf/params/generator/<name>.yaml."
)


class PhiloxGenerator(torch.Generator):
    """A random generator that samplers of diffusers take, whose normal numbers are Philox's.

    torch draws from it inside of functions that `with_image_noise` returned; elsewhere torch would draw from
    the base class, which `check_untouched` finds out.
    """

    def __new__(cls, seed: int) -> Self:
        """Makes one of the CPU."""
        del seed
        return super().__new__(cls)

    def __init__(self, seed: int) -> None:
        """Keys it.

        Args:
            seed: all of its bits count; from 0 to below 2^64.
        """
        self.manual_seed(seed)
        self._state_of_torch = self.get_state()
        self._words = np.random.Philox(key=seed)

    def normals(self, shape: Sequence[int]) -> Tensor:
        """Returns the next independent standard normal numbers, float32 of a shape.

        From pairs of uniform numbers by Box and Muller (Ann. Math. Stat. 29, 1958): sqrt(-2 ln u) cos(2 pi v)
        and sqrt(-2 ln u) sin(2 pi v). Uniform numbers are the middles of 2^53 intervals of (0, 1).
        """
        num = math.prod(shape)
        num_pairs = -(-num // 2)
        uniform = ((self._words.random_raw(2 * num_pairs) >> np.uint64(11)) + 0.5) * 2.0**-53
        radius, angle = np.sqrt(-2 * np.log(uniform[:num_pairs])), 2 * np.pi * uniform[num_pairs:]
        values = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
        return torch.from_numpy(values[:num].astype(np.float32).reshape(tuple(shape)))

    @property
    def untouched(self) -> bool:
        """Whether torch has drawn nothing from the base class."""
        return torch.equal(self._state_of_torch, self.get_state())


class _DrawsPhilox(TorchFunctionMode):
    """Has `torch.randn` draw from a `PhiloxGenerator` where it is given one."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        generator = given.get("generator")
        if not isinstance(generator, PhiloxGenerator):
            return func(*args, **given)
        if func != torch.randn:
            raise GeneratorError(
                f"the sampler draws by {getattr(func, '__name__', func)} from an image's noise; {_USE_TORCH}"
            )
        del given["generator"]
        made = torch.empty(*args, **given)
        return made.copy_(generator.normals(made.shape))


def with_image_noise(draw: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Returns a function inside of which torch draws from the `PhiloxGenerator`s that it is given."""

    @functools.wraps(draw)
    def drawing(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        with _DrawsPhilox():
            return draw(*args, **kwargs)

    return drawing


def image_generator(noise: str, seed: int) -> torch.Generator:
    """Returns the random generator of one image.

    Args:
        noise: `torch` for images as older releases drew them; any other value is Philox.
        seed: of the image.
    """
    return torch.Generator().manual_seed(seed) if noise == TORCH_NOISE else PhiloxGenerator(seed)


def check_untouched(generators: Sequence[torch.Generator]) -> None:
    """Raises GeneratorError where something drew from a `PhiloxGenerator`'s base class."""
    if not all(each.untouched for each in generators if isinstance(each, PhiloxGenerator)):
        raise GeneratorError(
            "the model draws noise outside its sampler and its initial latents; both " + _USE_TORCH
        )
