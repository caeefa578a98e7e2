"""The embedded generator's training images: scenes of the fit hands, drawn as they are needed."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from stablerep.digit_scenes.grammar import SceneAttributes, hide_attributes, vocabulary, write_caption
from stablerep.digit_scenes.scenes import ATTRIBUTES, SIZE_PX, draw_scenes
from stablerep.generation.pretraining.captioned_pixels import TakenDown


class SceneStream:
    """An endless stream of scenes; see `stablerep.generation.pretraining.captioned_pixels.CaptionedPixels`.

    The key of a scene holds the value of each of `ATTRIBUTES`. A caption names some of them, other ones each
    time.
    """

    size_px = SIZE_PX

    def count(self) -> None:
        """Returns None: there is no end of them."""
        return

    def texts(self) -> Iterable[str]:
        """Returns every word of the grammar."""
        return vocabulary()

    def sample(self, num: int, *seed: int | str) -> tuple[Tensor, Tensor]:
        """Draws (num, 3, 32, 32) float32 images in [0, 1] and their (num, 4) int64 keys."""
        scenes = draw_scenes(num, "fit", *seed)
        return scenes.images, torch.stack([scenes.labels[name] for name in ATTRIBUTES], dim=1)

    def take(self, start: int, num: int, seed: int) -> tuple[Tensor, Tensor]:
        """Draws scenes for the pool; see `sample`."""
        return self.sample(num, seed, "pool", start)

    def captions_of(self, key: Sequence[int], num: int, rng: np.random.Generator) -> list[str]:
        """Writes captions of a scene: which attributes each names and its words are drawn from rng."""
        scene = SceneAttributes(**dict(zip(ATTRIBUTES, map(int, key), strict=True)))
        return [write_caption(hide_attributes(scene, rng), rng) for _ in range(num)]

    def to(self, device: torch.device) -> "SceneStream":
        """Returns itself: scenes are drawn on the CPU."""
        del device
        return self

    def without(self, taken_down: TakenDown) -> "SceneStream":
        """Returns itself: scenes are drawn for the training, and none was ever published."""
        del taken_down
        return self
