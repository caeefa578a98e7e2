"""What a chain of augmentations does, measured on its output: each part on images that show it alone.

A chain is a function of (B, 3, H, W) images in [0, 1] that gives a view of each. Nothing here knows how it
draws.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

Chain = Callable[[Tensor], Tensor]
SIDE = 64  # px
_GREY = 0.4  # so that no view leaves [0, 1]


def views_of(chain: Chain, image: Tensor, num: int, batch_size: int = 40) -> Tensor:
    """Draws views of one image."""
    batch = image.expand(batch_size, -1, -1, -1)
    return torch.cat([chain(batch) for _ in range(num // batch_size)])


def crops(chain: Chain, num: int) -> dict[str, Tensor]:
    """Measures a crop by where its pixels come from: area, aspect, centre, and whether it is mirrored."""
    at = (torch.arange(SIDE) + 0.5) / SIDE
    image = torch.stack([at.expand(SIDE, SIDE), at[:, None].expand(SIDE, SIDE), torch.zeros(SIDE, SIDE)])
    views = views_of(chain, image, num)
    columns, rows = views[:, 0].mean(1), views[:, 1].mean(2)
    # from the first to the last pixel is one pixel less than the crop
    width, height = ((each[:, -1] - each[:, 0]) * SIDE / (SIDE - 1) for each in (columns, rows))
    return {
        "area": width.abs() * height,
        "aspect": width.abs() / height,
        "x": columns.mean(1),
        "y": rows.mean(1),
        "mirrored": (width < 0).float(),
    }


def colours(chain: Chain, num: int) -> dict[str, Tensor]:
    """Measures the factors of the colour jitter; 1 (0 for the hue) where there was none.

    On one grey a jitter of brightness is all that shows. Two greys keep the ratio of difference and sum under
    brightness, whatever the order. Hue is kept by the three others, and a colour's chroma over the greys'
    difference is changed by saturation alone.
    """
    flat = torch.full((3, 12, 12), _GREY)
    two = flat.clone()
    two[:, :, :6], two[:, :, 6:] = 0.3, 0.5
    three = two.clone()
    three[:, 6:] = torch.tensor([0.5, 0.35, 0.3])[:, None, None]  # its chroma is the greys' difference
    # in small batches, for a chain may draw the order of the four once per batch
    brightness = views_of(chain, flat, num)[:, 0, 3, 3] / _GREY
    views = views_of(chain, two, num)
    low, high = views[:, 0, 3, 2], views[:, 0, 3, 9]
    contrast = (high - low) / (high + low) / (0.2 / 0.8)
    views = views_of(chain, three, num, batch_size=10)
    colour, difference = views[:, :, 9, 6], views[:, 0, 2, 9] - views[:, 0, 2, 2]
    chroma = colour.amax(1) - colour.amin(1)
    hue = torch.remainder(_hue_of(colour) - _hue_of(three[None, :, 9, 6]) + 0.5, 1) - 0.5
    return {
        "brightness": brightness,
        "contrast": contrast,
        "saturation": chroma / difference,
        "hue": hue,
    }


def _hue_of(colours_B3: Tensor) -> Tensor:
    """Returns the hue in turns of colours that have one."""
    red, green, blue = colours_B3.unbind(1)
    most, least = colours_B3.max(1), colours_B3.amin(1)
    spread = most.values - least
    sixths = torch.stack(
        [(green - blue) / spread, 2 + (blue - red) / spread, 4 + (red - green) / spread], dim=1
    )
    return torch.remainder(sixths.gather(1, most.indices[:, None])[:, 0] / 6, 1)


def is_grey(chain: Chain, num: int) -> Tensor:
    """Returns which views of a coloured image are grey."""
    image = torch.tensor([0.5, 0.35, 0.2])[:, None, None].expand(3, 12, 12)
    views = views_of(chain, image, num)[:, :, 6, 6]
    return (views.amax(1) - views.amin(1) < 1e-4).float()


def blur_sigmas(chain: Chain, num: int) -> Tensor:
    """Measures the sigma of a Gaussian blur by how far an edge runs into the dark; 0 where there is none.

    A sigma is read off a table of torchvision's blur, with a kernel that no sigma below 4 fills.
    """
    image = torch.zeros(3, 48, 48)
    image[:, :, 24:] = 1.0
    table = torch.linspace(0.05, 4, 400)
    spread = torch.stack([_run_of(functional.gaussian_blur(image, [33, 33], [float(s)] * 2)) for s in table])
    runs = _run_of(views_of(chain, image, num))
    place = torch.searchsorted(spread, runs.clamp(max=float(spread[-1])))
    return torch.where(runs < 1e-6, 0.0, table[place.clamp(max=len(table) - 1)])


def _run_of(views: Tensor) -> Tensor:
    """Returns the light on the dark side of an edge, weighted by its distance: half the blur's variance."""
    dark = views[..., 0, 24, :24].flip(-1)
    return (dark * (torch.arange(24) + 1)).sum(-1)


def largest_gap(one: Tensor, other: Tensor) -> float:
    """Returns the largest difference of two samples' distributions (Kolmogorov-Smirnov)."""
    one, other = one.sort().values, other.sort().values
    at = torch.cat([one, other])
    shares = [torch.searchsorted(each, at, right=True) / len(each) for each in (one, other)]
    return float((shares[0] - shares[1]).abs().max())
