"""Augmented views, drawn per image, in batches on the device.

Source of the recipe: arXiv:2306.00984, appendix (crop, colour jitter, grey, blur, flip). kornia draws one
set of numbers for each image of a batch; torchvision's v2, called for each, is slower (benchmarks/views.py).
Legend: B images.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stablerep.errors import check_range


@dataclass(frozen=True)
class AugmentationSettings:
    """What a view may do to an image.

    Attributes:
        min_crop: smallest share of the image's area in a random resized crop.
        jitter: strength of brightness, contrast and saturation jitter; a quarter of it for hue.
        jitter_probability: chance of colour jitter.
        grey_probability: chance of turning grey.
        blur_probability: chance of a Gaussian blur.
        flip_probability: chance of a mirror image; 0 where it changes what an image means, as with text.
        downsample_probability: chance of down- and up-sampling, so that sizes of sources are no clue.
        downsample_px: sides to one of which, drawn evenly, such an image is brought first.
    """

    min_crop: float = 0.08
    jitter: float = 0.4
    jitter_probability: float = 0.8
    grey_probability: float = 0.2
    blur_probability: float = 0.5
    flip_probability: float = 0.5
    downsample_probability: float = 0.0
    downsample_px: tuple[int, ...] = (64, 128)

    def __post_init__(self) -> None:
        """Checks ranges."""
        key = "optimisation.augmentation"
        check_range(f"{key}.min_crop", self.min_crop, 0.01, 1)
        check_range(f"{key}.jitter", self.jitter, 0, 1)
        for side in self.downsample_px:
            check_range(f"{key}.downsample_px", side, 1, 8192)
        check_range(f"{key}.downsample_px: number of values", len(self.downsample_px), 1)
        for name in ("jitter", "grey", "blur", "flip", "downsample"):
            field = f"{name}_probability"
            check_range(f"{key}.{field}", getattr(self, field), 0, 1)


def _odd(size: int) -> int:
    return size if size % 2 else size + 1


class Augmentation(nn.Module):
    """Draws one view of each image, from torch's global random state.

    Args:
        settings: what a view may do.
        size_px: side of the views; a blur's kernel is a tenth of it, as in SimCLR.
    """

    def __init__(self, settings: AugmentationSettings, size_px: int) -> None:
        """Builds the chain."""
        super().__init__()
        import kornia.augmentation as K

        strength = settings.jitter
        kernel = _odd(max(3, size_px // 10))
        self.settings = settings
        self.chain = K.AugmentationSequential(
            K.RandomResizedCrop((size_px, size_px), scale=(settings.min_crop, 1.0), p=1.0),
            K.ColorJitter(strength, strength, strength, strength / 4, p=settings.jitter_probability),
            K.RandomGrayscale(p=settings.grey_probability),
            K.RandomGaussianBlur((kernel, kernel), (0.1, 1.0), p=settings.blur_probability),
            K.RandomHorizontalFlip(p=settings.flip_probability),
            same_on_batch=False,
        )

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, 3, H, W) float32 in [0, 1] to views (B, 3, size, size) in [0, 1]; no autocast."""
        with torch.autocast(images.device.type, enabled=False):
            return self.chain(self._down_and_up(images.float())).clamp(0, 1)

    def _down_and_up(self, images: Tensor) -> Tensor:
        """Brings some images to a smaller side and back; draws nothing where the chance is 0."""
        if not self.settings.downsample_probability:
            return images
        chosen = torch.rand(len(images), device=images.device) < self.settings.downsample_probability
        sides = torch.randint(len(self.settings.downsample_px), (len(images),), device=images.device)
        size, result = images.shape[-2:], images.clone()
        for number, side in enumerate(self.settings.downsample_px):
            rows = (chosen & (sides == number)).nonzero().squeeze(1)
            if len(rows) and side < min(size):
                small = F.interpolate(images[rows], (side, side), mode="bilinear", antialias=True)
                result[rows] = F.interpolate(small, size, mode="bilinear", antialias=True)
        return result
