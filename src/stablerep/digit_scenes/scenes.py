"""Digit scenes: 32x32 RGB images composed from real handwritten digits.

A digit in one of eight dark inks over one of eight light grounds in one of five textures. Dark on
light, one polarity of contrast: with any ink on any ground even supervised networks stayed near
chance (docs/experiments.md). Drawn in vectorised torch.

Legend: B scenes, H hands; images are (B, 3, 32, 32) float32 in [0, 1].
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from stablerep.digit_scenes.grammar import GROUNDS, INKS, TEXTURES, SceneAttributes, read_caption
from stablerep.digit_scenes.hands import Hands, load_hands
from stablerep.digit_scenes.styles import USUAL, Style
from stablerep.seeding import seed_of, torch_generator

SIZE_PX = 32
ATTRIBUTES = ("digit", "ink", "ground", "texture")
NUM_CLASSES = {"digit": 10, "ink": len(INKS), "ground": len(GROUNDS), "texture": len(TEXTURES)}

# 8-bit RGB, by name; our own choice: hues apart by more than the jitter.
_INK_RGB = {
    "black": (22, 22, 26),
    "navy": (20, 32, 130),
    "crimson": (165, 12, 38),
    "green": (10, 95, 35),
    "purple": (88, 20, 140),
    "brown": (100, 55, 15),
    "teal": (0, 98, 108),
    "magenta": (165, 10, 125),
}
_GROUND_RGB = {
    "white": (244, 244, 240),
    "yellow": (250, 228, 90),
    "orange": (252, 176, 92),
    "pink": (252, 178, 192),
    "lime": (190, 238, 112),
    "aqua": (150, 238, 222),
    "sky": (146, 196, 250),
    "lavender": (206, 184, 248),
}


@dataclass(frozen=True)
class Scenes:
    """Rendered scenes with their labels.

    Attributes:
        images: (B, 3, 32, 32) float32 in [0, 1].
        labels: per attribute (B,) int64.
        hand_ids: (B,) int64, the handwriting instance of each.
    """

    images: Tensor
    labels: dict[str, Tensor]
    hand_ids: Tensor

    def __len__(self) -> int:
        """Returns B."""
        return len(self.images)


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator) * (high - low) + low


def _stroke_masks(strokes: Tensor, style: Style, generator: torch.Generator) -> Tensor:
    """Rotates, shears, scales and moves (B, 8, 8) strokes into (B, 1, 32, 32) masks of ink."""
    num = len(strokes)
    # a border of one pixel, so that ink at an edge of the 8x8 image fades instead of being cut
    padded = F.pad(strokes[:, None], (1, 1, 1, 1))
    sharp = F.interpolate(padded, size=(40, 40), mode="bicubic", align_corners=False)
    scale = _uniform((num,), *style.scale, generator)
    angle = _uniform((num,), -style.rotation_rad, style.rotation_rad, generator)
    shear = _uniform((num,), -style.shear, style.shear, generator)
    room = 1 - scale
    shift = _uniform((num, 2), -1, 1, generator) * room[:, None]
    cos, sin = angle.cos(), angle.sin()
    # output to input coordinates: undo the shift, then the rotation and shear, then the scale;
    # 10/8 because the padded image is 10 pixels wide and its inner 8 hold the digit
    inverse = torch.stack([torch.stack([cos + shear * sin, sin - shear * cos]), torch.stack([-sin, cos])])
    matrix = inverse.permute(2, 0, 1) / (scale * 10 / 8)[:, None, None]
    theta = torch.cat([matrix, -(matrix @ shift[:, :, None])], dim=2)
    grid = F.affine_grid(theta, [num, 1, SIZE_PX, SIZE_PX], align_corners=False)
    mask = F.grid_sample(sharp, grid, align_corners=False)
    # steepens the bicubic's ramp into a pen's edge
    return ((mask - 0.2) / 0.45).clamp(0, 1)


def _shade_masks(textures: Tensor, generator: torch.Generator) -> Tensor:
    """Draws where the ground's second colour lies: (B, 1, 32, 32) in [0, 1]."""
    num = len(textures)
    axis = (torch.arange(SIZE_PX) + 0.5) / SIZE_PX - 0.5
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    angle = _uniform((num, 1, 1), 0, 2 * math.pi, generator)
    phase = _uniform((num, 2, 1, 1), 0, 2 * math.pi, generator)
    cycles = _uniform((num, 1, 1), 2.5, 3.5, generator)
    along = x * angle.cos() + y * angle.sin()
    gradient = (along * 1.25 + 0.5).clamp(0, 1)

    def square(wave: Tensor) -> Tensor:
        return (wave.sin() * 3).clamp(-1, 1)

    striped = (square(2 * math.pi * cycles * along + phase[:, 0]) + 1) / 2
    checker_x = square(2 * math.pi * cycles * x + phase[:, 0])
    checker_y = square(2 * math.pi * cycles * y + phase[:, 1])
    checkered = (checker_x * checker_y + 1) / 2
    coarse = torch.randn((num, 1, 11, 11), generator=generator)
    speckles = F.interpolate(coarse, size=(44, 44), mode="bicubic", align_corners=False)
    speckled = ((speckles[:, 0, 6:38, 6:38] - 0.55) * 4).clamp(0, 1)
    plain = torch.zeros_like(gradient)
    every = torch.stack([plain, gradient, striped, checkered, speckled], dim=1)
    return every[torch.arange(num), textures][:, None]


def _palette(colours: dict[str, tuple[int, int, int]]) -> Tensor:
    return torch.tensor(list(colours.values()), dtype=torch.float32) / 255


def render(
    strokes: Tensor,
    ink: Tensor,
    ground: Tensor,
    texture: Tensor,
    generator: torch.Generator,
    style: Style = USUAL,
) -> Tensor:
    """Draws scenes.

    Args:
        strokes: (B, 8, 8) float32 in [0, 1].
        ink: (B,) index into `grammar.INKS`.
        ground: (B,) index into `grammar.GROUNDS`.
        texture: (B,) index into `grammar.TEXTURES`.
        generator: of every random number drawn.
        style: how far scenes vary.

    Returns:
        (B, 3, 32, 32) float32 in [0, 1].
    """
    num = len(strokes)
    mask = _stroke_masks(strokes, style, generator)
    shade = _shade_masks(texture, generator)
    ink_rgb = _palette(_INK_RGB)[ink] + style.ink_jitter * torch.randn((num, 3), generator=generator)
    light = _palette(_GROUND_RGB)[ground]
    light = light + style.ground_jitter * torch.randn((num, 3), generator=generator)
    depth = _uniform((num, 1), *style.shade, generator)
    back = torch.lerp(light[:, :, None, None], (light * depth)[:, :, None, None], shade)
    images = torch.lerp(back, ink_rgb[:, :, None, None], mask)
    images = images + style.noise * torch.randn(images.shape, generator=generator)
    return images.clamp(0, 1)


def draw_scenes(num_scenes: int, split: str, *seed: int | str, style: Style = USUAL) -> Scenes:
    """Draws scenes of a split, every attribute and hand uniform, as a function of the seed.

    Args:
        num_scenes: B.
        split: one of `hands.SPLITS`.
        *seed: parts of the seed.
        style: how far scenes vary.
    """
    hands = load_hands(split)
    generator = torch_generator("scenes", split, *seed)
    rows = torch.randint(len(hands), (num_scenes,), generator=generator)
    labels = {"digit": hands.digits[rows]}
    for name in ATTRIBUTES[1:]:
        labels[name] = torch.randint(NUM_CLASSES[name], (num_scenes,), generator=generator)
    return _render_rows(hands, rows, labels, generator, style)


def draw_scenes_per_hand(scenes_per_hand: int, split: str, *seed: int | str, style: Style = USUAL) -> Scenes:
    """Draws the same number of scenes of every hand of a split: a test set that weighs hands alike."""
    hands = load_hands(split)
    generator = torch_generator("scenes per hand", split, *seed)
    rows = torch.arange(len(hands)).repeat_interleave(scenes_per_hand)
    labels = {"digit": hands.digits[rows]}
    for name in ATTRIBUTES[1:]:
        labels[name] = torch.randint(NUM_CLASSES[name], (len(rows),), generator=generator)
    return _render_rows(hands, rows, labels, generator, style)


def draw_scenes_of_captions(
    texts: list[str], images_per_caption: int, split: str, *seed: int | str
) -> Scenes:
    """Draws real scenes that show what the captions say; what they leave open is drawn at random.

    Each scene is a function of (seed, caption, index) alone, so another list of captions leaves the
    scenes of the shared ones as they were. This is the perfect generator of the reference arm.

    Returns:
        len(texts) * images_per_caption scenes, the images of one caption next to each other.
    """
    hands = load_hands(split)
    parts = []
    for text in texts:
        named = read_caption(text)
        generator = torch.Generator().manual_seed(seed_of("scene of caption", split, text, *seed))
        labels, rows = _fill_open(named, hands, images_per_caption, generator)
        parts.append(_render_rows(hands, rows, labels, generator))
    return Scenes(
        torch.cat([part.images for part in parts]),
        {name: torch.cat([part.labels[name] for part in parts]) for name in ATTRIBUTES},
        torch.cat([part.hand_ids for part in parts]),
    )


def _fill_open(
    named: SceneAttributes, hands: Hands, num: int, generator: torch.Generator
) -> tuple[dict[str, Tensor], Tensor]:
    values = named.named()
    drawn = {name: torch.randint(NUM_CLASSES[name], (num,), generator=generator) for name in ATTRIBUTES}
    labels = {
        name: torch.full((num,), values[name]) if name in values else drawn[name] for name in ATTRIBUTES
    }
    rows = torch.empty(num, dtype=torch.int64)
    for index, digit in enumerate(labels["digit"].tolist()):
        of_digit = (hands.digits == digit).nonzero()[:, 0]
        rows[index] = of_digit[torch.randint(len(of_digit), (1,), generator=generator)]
    return labels, rows


def _render_rows(
    hands: Hands,
    rows: Tensor,
    labels: dict[str, Tensor],
    generator: torch.Generator,
    style: Style = USUAL,
) -> Scenes:
    strokes = hands.strokes[rows]
    images = render(strokes, labels["ink"], labels["ground"], labels["texture"], generator, style)
    return Scenes(images, labels, hands.hand_ids[rows])
