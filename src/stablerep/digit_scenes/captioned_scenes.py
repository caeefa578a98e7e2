"""Real scenes with a caption that is true of each and captions that are not: what the scorer learns from.

A false caption differs from the true one in one attribute that it names, and in the wording not at all. These
are what a text-to-image model gets wrong; captions drawn at random mostly differ in everything.
Legend: B scenes.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from stablerep.digit_scenes.grammar import (
    VOCABULARIES,
    SceneAttributes,
    hide_attributes,
    read_caption,
    write_caption,
)
from stablerep.digit_scenes.scenes import ATTRIBUTES, Scenes, draw_scenes
from stablerep.seeding import numpy_generator


@dataclass(frozen=True)
class CaptionedScenes:
    """Scenes with captions.

    Attributes:
        images: (B, 3, 32, 32) float32 in [0, 1].
        texts: B captions, each true of its scene.
        false_texts: for each scene one caption an attribute that is not; the true one stands in the place of
            an attribute that it does not name.
        labels: per attribute (B,) int64.
    """

    images: Tensor
    texts: list[str]
    false_texts: list[list[str]]
    labels: dict[str, Tensor]


def draw_captioned_scenes(
    num: int, split: str, *seed: int | str, naming_probability: float | None = None
) -> CaptionedScenes:
    """Draws scenes of a split with captions, as a function of the seed.

    Args:
        num: B.
        split: of hands, see `stablerep.digit_scenes.hands.SPLITS`.
        *seed: parts of the seed.
        naming_probability: of each attribute, that a caption names it; None for the corpus's own.
    """
    scenes = draw_scenes(num, split, "captioned", *seed)
    rng = numpy_generator("captions", split, *seed)
    texts = [write_caption(_hide(scene, naming_probability, rng), rng) for scene in attributes_of(scenes)]
    false_texts = [[_false_or_own(text, name, rng) for name in ATTRIBUTES] for text in texts]
    return CaptionedScenes(scenes.images, texts, false_texts, scenes.labels)


def attributes_of(scenes: Scenes) -> list[SceneAttributes]:
    """Returns what each scene shows."""
    columns = [scenes.labels[name].tolist() for name in ATTRIBUTES]
    return [SceneAttributes(**dict(zip(ATTRIBUTES, row, strict=True))) for row in zip(*columns, strict=True)]


def _hide(scene: SceneAttributes, probability: float | None, rng: np.random.Generator) -> SceneAttributes:
    if probability is None:
        return hide_attributes(scene, rng)
    return SceneAttributes(**{name: v for name, v in scene.named().items() if rng.random() < probability})


def _false_or_own(text: str, attribute: str, rng: np.random.Generator) -> str:
    return change_attribute(text, attribute, rng) if attribute in read_caption(text).named() else text


def change_attribute(text: str, attribute: str, rng: np.random.Generator) -> str:
    """Returns a caption with another value of one attribute that it names, the other words untouched.

    Args:
        text: a caption of the grammar.
        attribute: that it names.
        rng: draws the other value.

    Raises:
        ValueError: the caption does not name it.
    """
    value = read_caption(text).named().get(attribute)
    if value is None:
        raise ValueError(f"caption {text!r}: names no {attribute}; must name what is to be changed")
    words = VOCABULARIES[attribute]
    other = words[(value + int(rng.integers(1, len(words)))) % len(words)]
    return " ".join(other if word == words[value] else word for word in text.split(" "))
