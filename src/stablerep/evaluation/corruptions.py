"""Corruptions of images: ImageNet-C's noise, blur, contrast and JPEG, at the five strengths of its authors.

Blur is torchvision's and JPEG is Pillow's, as in the authors' code: both are kept and installed, and
imagecorruptions would bring OpenCV, scikit-image and numba. Noise and contrast are one formula each.
Source: D. Hendrycks and T. Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations, arXiv:1903.12261, and the strengths of its code for ImageNet-C and CIFAR-10-C.
"""

import math
from dataclasses import dataclass
from io import BytesIO
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from stablerep.evaluation.features import fit_size
from stablerep.seeding import torch_generator

Benchmark = Literal["imagenet_c", "cifar10_c"]
Kind = Literal["gaussian_noise", "gaussian_blur", "contrast", "jpeg"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NUM_STRENGTHS = 5
# Side of the images for which the strengths of a benchmark were made.
_SIZE_PX = {"imagenet_c": 224, "cifar10_c": 32}
_STRENGTHS: dict[str, dict[str, tuple[float, ...]]] = {
    "imagenet_c": {
        "gaussian_noise": (0.08, 0.12, 0.18, 0.26, 0.38),  # deviation, of [0, 1]
        "gaussian_blur": (1, 2, 3, 4, 6),  # deviation in pixels
        "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),  # the share that is left
        "jpeg": (25, 18, 15, 10, 7),  # quality
    },
    "cifar10_c": {
        "gaussian_noise": (0.04, 0.06, 0.08, 0.09, 0.10),
        "gaussian_blur": (0.4, 0.6, 0.7, 0.8, 1.0),
        "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
        "jpeg": (80, 65, 58, 50, 40),
    },
}
_BLUR_REACH = 4  # deviations, as in the authors' code


@dataclass(frozen=True)
class Corruption:
    """One corruption at one strength (`stablerep.evaluation.subject.Change`).

    Attributes:
        kind: of `KINDS`.
        strength: 1 to 5.
        benchmark: whose strengths these are; images are first brought to the side that they are made for, so
            that every encoder sees the same corrupted images.
        seed: of the noise.
    """

    kind: Kind
    strength: int
    benchmark: Benchmark
    seed: int

    @property
    def key(self) -> str:
        """Describes the corruption with all its numbers."""
        return f"{self.kind} {self.amount:g} at {_SIZE_PX[self.benchmark]} px, seed {self.seed}"

    @property
    def amount(self) -> float:
        """The number behind the strength."""
        return _STRENGTHS[self.benchmark][self.kind][self.strength - 1]

    def __call__(self, image: Tensor, name: str) -> Tensor:
        """Corrupts an image.

        Args:
            image: (3, H, W) uint8.
            name: with the seed and the strength it decides the noise.

        Returns:
            (3, S, S) uint8, S being the side of the benchmark's images.
        """
        clean = fit_size([image], _SIZE_PX[self.benchmark], torch.device("cpu"))[0]
        if self.kind == "jpeg":
            return _jpeg(_to_bytes(clean), round(self.amount))
        if self.kind == "gaussian_noise":
            generator = torch_generator("corruption", self.seed, self.kind, self.strength, name)
            return _to_bytes(clean + self.amount * torch.randn(clean.shape, generator=generator))
        if self.kind == "gaussian_blur":
            return _to_bytes(_blur(clean, self.amount))
        mean = clean.mean(dim=(1, 2), keepdim=True)  # of each channel
        return _to_bytes((clean - mean) * self.amount + mean)


def _to_bytes(image: Tensor) -> Tensor:
    return (image.clamp(0, 1) * 255).round().to(torch.uint8)


def _blur(image: Tensor, deviation_px: float) -> Tensor:
    from torchvision.transforms.v2 import functional

    side = 2 * math.ceil(_BLUR_REACH * deviation_px) + 1
    return functional.gaussian_blur(image, [side, side], [deviation_px, deviation_px])


def _jpeg(image: Tensor, quality: int) -> Tensor:
    from PIL import Image

    file = BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
    with Image.open(file) as decoded:
        return torch.from_numpy(np.array(decoded)).permute(2, 0, 1).contiguous()
