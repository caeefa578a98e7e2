"""The embedded generator's model card: how often it draws what the caption says, over guidance scales.

Measured with the attribute judge on captions of the grammar that the generator learned from, drawn by a seed
of their own; the judge's accuracy on real scenes of validation hands is the ceiling.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from stablerep.digit_scenes.grammar import draw_distinct_captions
from stablerep.digit_scenes.judge import (
    AttributeJudge,
    JudgeRecipe,
    accuracy_on_scenes,
    match_rates,
    train_judge,
)
from stablerep.digit_scenes.scenes import ATTRIBUTES, draw_scenes_of_captions, draw_scenes_per_hand
from stablerep.generation.diffusion.generator import DiffusersGenerator
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.generation.pretraining.captioned_pixels import TakenDown
from stablerep.generation.pretraining.samples import draw_samples, grid_of
from stablerep.seeding import numpy_generator

GUIDANCE_SCALES = (1.0, 1.7, 2.0, 3.0, 5.0, 8.0)
_NUM_CAPTIONS = 256
_IMAGES_PER_CAPTION = 2
_GRID_CAPTIONS = (
    "a nine",
    "a teal handwritten seven on a striped orange background",
    "a crimson four on a checkered background",
    "a handwritten three on sky paper",
    "a navy zero on a speckled pink background",
    "a digit in green ink",
    "a purple five on a gradient background",
    "a drawing of a two on a white background",
)


def measure(
    folder: Path, settings: GeneratorSettings, seed: int, judge: AttributeJudge | None = None
) -> dict[str, Any]:
    """Measures match rates, diversity and speed over guidance scales.

    Args:
        folder: of the generator.
        settings: the sampler; the guidance scale is replaced.
        seed: of the captions and the images.
        judge: trained; trained here where it is left out.

    Returns:
        `judge`: its accuracy on real scenes of validation hands. `real`: the match rates of real scenes
        drawn from the captions. `scales`: per guidance scale the match rates by attribute, `diversity`
        and `images_per_second`. `num_images`: of each scale. `num_inference_steps` and
        `guidance_interval`: of the sampler.
    """
    judge = judge or train_judge(JudgeRecipe(seed=seed))
    texts = draw_distinct_captions(_NUM_CAPTIONS, numpy_generator("model card", seed))
    repeated = [text for text in texts for _ in range(_IMAGES_PER_CAPTION)]
    real = draw_scenes_of_captions(texts, _IMAGES_PER_CAPTION, "fit", "model card", seed)
    figures: dict[str, Any] = {
        "judge": accuracy_on_scenes(judge, draw_scenes_per_hand(8, "validation", "judge", seed)),
        "real": match_rates(judge, real.images, repeated),
        "scales": {},
        "num_images": len(repeated),
        "num_inference_steps": settings.num_inference_steps,
        "guidance_interval": list(settings.guidance_interval),
    }
    for scale in GUIDANCE_SCALES:
        generator = DiffusersGenerator(folder, settings.changed(guidance_scale=scale))
        started = time.monotonic()
        images = draw_samples(generator, texts, _IMAGES_PER_CAPTION, seed).flatten(0, 1)
        speed = len(images) / (time.monotonic() - started)
        rates = match_rates(judge, images, repeated)
        figures["scales"][f"{scale:g}"] = rates | {"images_per_second": speed}
    return figures


def sample_grid(folder: Path, settings: GeneratorSettings, seed: int) -> Tensor:
    """Draws the card's picture: a caption a row, eight images each; (3, H, W) float32 in [0, 1]."""
    return grid_of(draw_samples(DiffusersGenerator(folder, settings), _GRID_CAPTIONS, 8, seed), 4)


def _averages(recipe: Mapping[str, Any]) -> str:
    """Says which networks hold a moving average of their weights."""
    parts = [part for part in ("autoencoder", "denoiser") if recipe[part]["ema_decay"] > 0]
    if not parts:
        return "the weights are those of the last step"
    return f"the weights of the {' and the '.join(parts)} are a moving average"


def write_card(figures: Mapping[str, Any], seconds: Mapping[str, float], recipe: Mapping[str, Any]) -> str:
    """Writes the card in Markdown, with the head that model hubs read."""

    def percent(rates: Mapping[str, float]) -> str:
        return " | ".join(f"{100 * rates[name]:.1f}" for name in ATTRIBUTES)

    start, end = figures["guidance_interval"]
    lines = [
        "---",
        "license: apache-2.0",
        "library_name: diffusers",
        "pipeline_tag: text-to-image",
        "---",
        "# The embedded generator",
        "",
        "A Stable Diffusion of 5 M parameters for 32x32 digit scenes: AutoencoderKL (4x8x8 latents), "
        "UNet2DConditionModel with cross-attention and v-prediction, CLIP text encoder of two layers. Load "
        'it with `StableDiffusionPipeline.from_pretrained("data/06_models/generator", '
        "torch_dtype=torch.float32)`.",
        "",
        "![eight images of each of eight captions](samples.png)",
        "",
        "Captions of the rows: " + "; ".join(f"*{text}*" for text in _GRID_CAPTIONS) + ".",
        "",
        "## Data",
        "",
        "Captioned scenes composed from the fit hands of scikit-learn's handwritten digits (1,147 of 1,797 "
        "handwriting instances; UCI Optical Recognition of Handwritten Digits, CC BY 4.0), drawn anew as "
        "needed: no scene of a validation or held-out hand was ever seen.",
        "",
        "## Training",
        "",
        f"`make generator` with `pretraining` of conf/params: autoencoder "
        f"{recipe['autoencoder']['num_images']:,} images in {seconds['autoencoder_s'] / 60:.0f} minutes, "
        f"denoiser {recipe['denoiser']['num_images']:,} images in {seconds['denoiser_s'] / 60:.0f} minutes, "
        f"on a CPU. {100 * recipe['caption_dropout']:.0f} % of captions dropped; {_averages(recipe)}.",
        "",
        "## Figures",
        "",
        f"{figures['num_images']} images of {_NUM_CAPTIONS} captions a row, drawn in "
        f"{figures['num_inference_steps']} steps with guidance in the share {start:g} to {end:g} of "
        "them; the share, in per cent, that "
        "shows what the caption names, as read by a classifier trained on real scenes of the fit hands; "
        "diversity is the mean cosine distance between images of one caption in that classifier's features. "
        "The captions are drawn from the grammar that the generator learned from. The row of real scenes "
        "shows fit hands too, on which the classifier was trained: it is no test of the classifier, the row "
        "of validation hands is.",
        "",
        "| guidance scale | digit | ink | ground | texture | diversity | images/s, one process |",
        "|---|---|---|---|---|---|---|",
    ]
    for scale, rates in figures["scales"].items():
        speed = rates["images_per_second"]
        lines.append(f"| {scale} | {percent(rates)} | {rates['diversity']:.3f} | {speed:.0f} |")
    real, judge = figures["real"], figures["judge"]
    lines += [
        f"| real scenes of the captions | {percent(real)} | {real['diversity']:.3f} | |",
        f"| the classifier on validation hands | {percent(judge)} | | |",
        "",
        "## Limits",
        "",
        "It draws digit scenes and nothing else; words outside the corpus's grammar are spelled letter by "
        "letter and mean nothing to it. It is a test bed for methods, not a source of data about people.",
    ]
    return "\n".join(lines) + "\n"


class GeneratorCard:
    """The three parts of the card as one object, which `pretraining.card` names by `_target_`."""

    def without(self, taken_down: TakenDown) -> "GeneratorCard":
        """Returns itself: its captions are the grammar's."""
        del taken_down
        return self

    measure = staticmethod(measure)
    picture = staticmethod(sample_grid)
    write = staticmethod(write_card)
