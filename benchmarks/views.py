"""How fast views are made: kornia in batches, as this project does, against torchvision's v2.

    python -m benchmarks.views                                          # the embedded default's images
    python -m benchmarks.views --experiment paper --size 224 --batch-size 32

The same chain with the same chances on both sides, on uint8 images that lie in memory, in one process and in
turn; on a GPU where there is one. torchvision draws one set of numbers a call, so a view of its own for each
image takes a call for each; the batch at a call, whose images all get the same crop and colours, is the bound
that no chain of it beats. The last line is the ratio to torchvision with a view for each image.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2

from stablerep.training.settings import AugmentationSettings
from stablerep.training.views import Augmentation, blur_kernel_px

ROOT = Path(__file__).parents[1]


def torchvision_chain(settings: AugmentationSettings, size: int) -> Any:
    """Returns the chain of `Augmentation` in torchvision's transforms."""
    strength, kernel = settings.jitter, blur_kernel_px(settings.blur_sigma[1], size)
    jitter = v2.ColorJitter(strength, strength, strength, strength / 4)
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=(settings.min_crop, 1.0), antialias=False),
            v2.RandomApply([jitter], settings.jitter_probability),
            v2.RandomGrayscale(settings.grey_probability),
            v2.RandomApply([v2.GaussianBlur(kernel, settings.blur_sigma)], settings.blur_probability),
            v2.RandomHorizontalFlip(settings.flip_probability),
        ]
    )


def rate_of(draw: Callable[[Tensor], Tensor], images: Tensor, num_batches: int) -> float:
    """Returns views a second; the first batch warms up and is not counted."""
    draw(images)
    started = time.monotonic()
    for _ in range(num_batches):
        draw(images)
    if images.is_cuda:
        torch.cuda.synchronize()
    return num_batches * len(images) / (time.monotonic() - started)


def main() -> None:
    """Times the sides in turn and prints their rates and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiment", help="whose chances; without it the default's")
    parser.add_argument("--size", type=int, default=32, help="pixels")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--batches", type=int, default=20, help="of each side in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    from pipelines.config.loader import compose  # here: the checks of a GPU import `rate_of` without Hydra

    parameters = compose(ROOT / "conf/params", {"experiment": given.experiment} if given.experiment else {})
    values = parameters["training"]["augmentation"]
    settings = AugmentationSettings(**values | {"downsample_probability": 0.0})
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    shape = (given.batch_size, 3, given.size, given.size)
    images = torch.randint(256, shape, dtype=torch.uint8, device=device)
    ours = Augmentation(settings, given.size).to(device)
    chain = torchvision_chain(settings, given.size)
    sides: dict[str, Callable[[Tensor], Tensor]] = {
        "kornia, a batch a call": lambda batch: ours(batch.float() / 255),
        "torchvision, an image a call": lambda batch: torch.stack(
            [chain(each) for each in batch.float() / 255]
        ),
        "torchvision, uint8, an image a call": lambda batch: torch.stack([chain(each) for each in batch]),
        "torchvision, a batch a call (one view for all)": lambda batch: chain(batch.float() / 255),
    }
    rates: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(given.rounds):
        for side, draw in sides.items():
            rates[side].append(rate_of(draw, images, given.batches))
    median = {side: statistics.median(each) for side, each in rates.items()}
    for side, each in rates.items():
        print(f"{side:48}{median[side]:10,.0f} views/s ({min(each):,.0f} to {max(each):,.0f})")
    mine, *each_image, _ = median.values()
    print(f"speed-up over torchvision with a view for each image = {mine / max(each_image):.2f}")


if __name__ == "__main__":
    main()
