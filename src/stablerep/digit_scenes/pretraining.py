"""The embedded generator's training images: scenes of the fit hands, drawn as they are needed."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from stablerep.digit_scenes.grammar import SceneAttributes, hide_attributes, vocabulary, write_caption
from stablerep.digit_scenes.scenes import ATTRIBUTES, SIZE_PX, draw_scenes


class SceneStream:
    """An endless stream of scenes; see `stablerep.generation.pretraining.captioned_pixels.CaptionedPixels`.

    The key of a scene holds the value of each of `ATTRIBUTES`. A caption names some of them, other ones each
    time.
    """

    size_px = SIZE_PX

    def texts(self) -> Iterable[str]:
        """Returns every word of the grammar."""
        return vocabulary()

    def sample(self, num: int, *seed: int | str) -> tuple[Tensor, Tensor]:
        """Draws (num, 3, 32, 32) float32 images in [0, 1] and their (num, 4) int64 keys."""
        scenes = draw_scenes(num, "fit", *seed)
        return scenes.images, torch.stack([scenes.labels[name] for name in ATTRIBUTES], dim=1)

    def caption_of(self, key: Sequence[int], rng: np.random.Generator) -> str:
        """Writes a caption of a scene: which attributes it names and its words are drawn from rng."""
        scene = SceneAttributes(**dict(zip(ATTRIBUTES, map(int, key), strict=True)))
        return write_caption(hide_attributes(scene, rng), rng)
