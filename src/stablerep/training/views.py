"""Augmented views, drawn per image, in batches on the device.

Source of the recipe: arXiv:2306.00984, appendix (crop, colour jitter, grey, blur, flip). kornia draws one
set of numbers for each image of a batch; torchvision's v2, called for each, is slower (benchmarks/views.py).
Legend: B images.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stablerep.training.settings import AugmentationSettings, TrainingSettings


def blur_kernel_px(largest_sigma: float, size_px: int) -> int:
    """Returns the side of a blur's kernel: three deviations to each side, as far as the image has pixels."""
    return 2 * min(math.ceil(3 * largest_sigma), size_px - 1) + 1


class Augmentation(nn.Module):
    """Draws one view of each image, from torch's global random state.

    Args:
        settings: what a view may do.
        size_px: side of the views.
        crop: smallest and largest share of the image's area; None takes that of the settings up to 1.
    """

    def __init__(
        self, settings: AugmentationSettings, size_px: int, crop: tuple[float, float] | None = None
    ) -> None:
        """Builds the chain."""
        super().__init__()
        import kornia.augmentation as K

        strength = settings.jitter
        kernel = blur_kernel_px(settings.blur_sigma[1], size_px)
        self.settings = settings
        self.chain = K.AugmentationSequential(
            K.RandomResizedCrop((size_px, size_px), scale=crop or (settings.min_crop, 1.0), p=1.0),
            K.ColorJitter(strength, strength, strength, strength / 4, p=settings.jitter_probability),
            K.RandomGrayscale(p=settings.grey_probability),
            K.RandomGaussianBlur((kernel, kernel), settings.blur_sigma, p=settings.blur_probability),
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


def augmentations_of(settings: TrainingSettings, size_px: int) -> tuple[Augmentation, Augmentation | None]:
    """Returns what draws the views, and what draws local crops; None where there are none.

    Args:
        settings: of the training.
        size_px: side of the views.
    """
    augment, local = Augmentation(settings.augmentation, size_px), settings.local_crops
    if not local.per_image:
        return augment, None
    crop = (local.min_crop, local.max_crop)
    return augment, Augmentation(settings.augmentation, local.size_px or size_px, crop)
