"""The model card of a generator that learned from a corpus's images: what it was trained on, and samples.

It measures what needs no other model: the speed, and how different the images of a caption are, compared with
the corpus's own. Whether the images show what their captions say, and how close they come to real ones, are
metrics of image sets.
Legend: C captions, K images of each.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stablerep.generation.diffusion.generator import DiffusersGenerator
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.generation.pretraining.captioned_pixels import TakenDown
from stablerep.generation.pretraining.corpus_pixels import CorpusPixels
from stablerep.generation.pretraining.samples import draw_samples, grid_of
from stablerep.seeding import torch_generator

GUIDANCE_SCALES = (1.0, 1.5, 2.0, 3.0, 5.0)
_NUM_CAPTIONS = 10  # rows of the picture
_NUM_IMAGES = 16  # of each caption
_NUM_SHOWN = 8  # of these in the picture
_ENLARGED = 2


class CorpusCard:
    """Measures a generator and writes its card; `pretraining.card` names it by `_target_`.

    Args:
        images: that the generator learned from.
    """

    def __init__(self, images: CorpusPixels) -> None:
        """Takes the images."""
        self.images = images

    def without(self, taken_down: TakenDown) -> "CorpusCard":
        """Returns a card that shows nothing that was taken down."""
        return CorpusCard(self.images.without(taken_down))

    def measure(self, folder: Path, settings: GeneratorSettings, seed: int) -> dict[str, Any]:
        """Measures speed and spread over guidance scales.

        Args:
            folder: of the generator.
            settings: the sampler; the guidance scale is replaced.
            seed: of the images.

        Returns:
            `corpus`: its name. `num_images`: of it that were learned from. `captions`: that are drawn.
            `real_spread`: of the corpus's own images of these captions; None where none of them has two.
            `scales`: per guidance scale `spread` and `images_per_second`. `num_inference_steps` and
            `guidance_interval`: of the sampler.
        """
        texts = self._captions()
        figures: dict[str, Any] = {
            "corpus": self.images.corpus.name,
            "num_images": len(self.images.fixed.pixels),
            "captions": texts,
            "real_spread": self._real_spread(texts, seed),
            "scales": {},
            "num_inference_steps": settings.num_inference_steps,
            "guidance_interval": list(settings.guidance_interval),
        }
        for scale in GUIDANCE_SCALES:
            generator = DiffusersGenerator(folder, settings.changed(guidance_scale=scale))
            started = time.monotonic()
            images = draw_samples(generator, texts, _NUM_IMAGES, seed)
            speed = len(texts) * _NUM_IMAGES / (time.monotonic() - started)
            spread = float(torch.stack([spread_of(each) for each in images]).mean())
            figures["scales"][f"{scale:g}"] = {"spread": spread, "images_per_second": speed}
        return figures

    def picture(self, folder: Path, settings: GeneratorSettings, seed: int) -> Tensor:
        """Draws the card's picture: one row per caption; (3, H, W) float32 in [0, 1]."""
        images = draw_samples(DiffusersGenerator(folder, settings), self._captions(), _NUM_SHOWN, seed)
        return grid_of(images, _ENLARGED)

    def write(
        self, figures: Mapping[str, Any], seconds: Mapping[str, float], recipe: Mapping[str, Any]
    ) -> str:
        """Writes the card in Markdown, with the head that model hubs read."""
        start, end = figures["guidance_interval"]
        parts = ", ".join(
            f"{part.removesuffix('_s')} {each / 60:.1f} minutes" for part, each in seconds.items()
        )
        real = figures["real_spread"]
        lines = [
            "---",
            "library_name: diffusers",
            "pipeline_tag: text-to-image",
            "---",
            f"# {recipe['name']}",
            "",
            f"A small Stable Diffusion in {recipe['space']} space: UNet2DConditionModel with cross-attention "
            "and v-prediction, and a CLIP text encoder trained with it.",
            "",
            f"![{_NUM_SHOWN} images of each of {len(figures['captions'])} captions](samples.png)",
            "",
            "Captions of the rows: " + "; ".join(f"*{text}*" for text in figures["captions"]) + ".",
            "",
            "## Data",
            "",
            f"{figures['num_images']:,} captioned images of the train split of corpus "
            f"`{figures['corpus']}`. Its validation and test images were not seen. The licence and terms of "
            "the images are not recorded here.",
            "",
            "## Training",
            "",
            f"Seed {recipe['seed']}; {parts}. {100 * recipe['caption_dropout']:.0f} % of captions dropped.",
            "",
            "## Figures",
            "",
            f"{_NUM_IMAGES} images of each caption above, in {figures['num_inference_steps']} steps with "
            f"guidance from share {start:g} to {end:g} of them. Spread: the standard deviation of a pixel "
            "between images of one caption, in levels of 0 to 255, averaged over pixels and captions; a "
            "model that always draws the same image has 0.",
            "",
            "| guidance scale | spread | images/s, one process |",
            "|---|---|---|",
        ]
        for scale, each in figures["scales"].items():
            lines.append(f"| {scale} | {each['spread']:.1f} | {each['images_per_second']:.0f} |")
        if real is not None:
            lines.append(f"| real images of these captions | {real:.1f} | |")
        return "\n".join(lines) + "\n"

    def _captions(self) -> list[str]:
        """Returns captions to draw, evenly over the different ones in the images' order."""
        texts = list(self.images.texts())
        num = min(_NUM_CAPTIONS, len(texts))
        return [texts[place * len(texts) // num] for place in range(num)]

    def _real_spread(self, texts: list[str], seed: int) -> float | None:
        fixed = self.images.fixed
        spreads = []
        for text in texts:
            rows = torch.tensor([row for row, each in enumerate(fixed.captions) if text in each])
            order = torch.randperm(len(rows), generator=torch_generator(seed, "card", text))
            if len(rows) > 1:
                spreads.append(spread_of(fixed.pixels[rows[order[:_NUM_IMAGES]]].float() / 255))
        return float(torch.stack(spreads).mean()) if spreads else None


def spread_of(images: Tensor) -> Tensor:
    """Returns the standard deviation between (K, 3, H, W) images, a mean over pixels, in levels of 255."""
    return 255 * images.std(dim=0).mean()
