"""The embedded scorer's card: whether it tells captions apart, and what rejecting by its scores is worth.

On scenes of validation hands, which its training never saw, it must prefer the own caption to one with a word
changed. On generated images the attribute judge says which show what their caption says, and a policy that
drops the worst scores must raise that share.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stablerep.alignment.scorer import Scorer
from stablerep.digit_scenes.captioned_scenes import draw_captioned_scenes
from stablerep.digit_scenes.discrimination import area_under_curve, measure_discrimination
from stablerep.digit_scenes.grammar import draw_distinct_captions, read_caption
from stablerep.digit_scenes.judge import AttributeJudge, JudgeRecipe, predict_attributes, train_judge
from stablerep.digit_scenes.scene_pixels import to_bytes
from stablerep.digit_scenes.scenes import ATTRIBUTES
from stablerep.generation.diffusion.generator import DiffusersGenerator
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.generation.pretraining.samples import draw_samples
from stablerep.seeding import numpy_generator

DROPPED_SHARES = (0.0, 0.01, 0.02, 0.05, 0.1)
_NUM_SCENES = 8000
_NUM_CAPTIONS = 512
_IMAGES_PER_CAPTION = 4


def measure(
    scorer: Scorer,
    generator_folder: Path,
    settings: GeneratorSettings,
    seed: int,
    judge: AttributeJudge | None = None,
) -> dict[str, Any]:
    """Measures the scorer.

    Args:
        scorer: to be measured.
        generator_folder: of the generator whose images it is to judge.
        settings: of the generator.
        seed: of scenes, captions and images.
        judge: trained; trained here where it is left out.

    Returns:
        `scorer_id`; `real`, on scenes of validation hands, see `measure_discrimination`; `generated`, see
        `measure_rejection`.
    """
    scenes = draw_captioned_scenes(_NUM_SCENES, "validation", "scorer card", seed)
    real = measure_discrimination(scorer, to_bytes(scenes.images), scenes.texts, seed)
    judge = judge or train_judge(JudgeRecipe(seed=seed))
    captions = draw_distinct_captions(_NUM_CAPTIONS, numpy_generator("scorer card", seed))
    texts = [text for text in captions for _ in range(_IMAGES_PER_CAPTION)]
    generator = DiffusersGenerator(generator_folder, settings)
    images = draw_samples(generator, captions, _IMAGES_PER_CAPTION, seed).flatten(0, 1)
    generated = measure_rejection(scorer.score(to_bytes(images), texts), judge, images, texts)
    return {"scorer_id": scorer.scorer_id, "real": real, "generated": generated}


def measure_rejection(
    scores: Tensor, judge: AttributeJudge, images: Tensor, texts: Sequence[str]
) -> dict[str, Any]:
    """Measures what dropping the worst scores does to the share of images that show their caption.

    Args:
        scores: (N,) of the images and their captions.
        judge: trained.
        images: (N, 3, 32, 32) float32 in [0, 1].
        texts: N captions of the grammar.

    Returns:
        `auc`: of telling images that show all their caption names, as the judge reads them, from those that
        do not; `num_images`, `num_mismatched`; `kept`: by the share that is dropped, `threshold` (the lowest
        score that is kept), and the shares of kept images that show the digit (`digit`) and all that the
        caption names (`all`).
    """
    shown = {name: _shows(judge, images, texts, name) for name in (*ATTRIBUTES, None)}
    whole = shown[None]
    order = scores.sort(stable=True).indices
    kept = {}
    for share in DROPPED_SHARES:
        rows = order[int(share * len(order)) :]
        names_digit = torch.tensor(["digit" in read_caption(texts[row]).named() for row in rows.tolist()])
        kept[f"{share:g}"] = {
            "threshold": float(scores[rows[0]]),
            "digit": float(shown["digit"][rows][names_digit].float().mean()),
            "all": float(whole[rows].float().mean()),
        }
    return {
        "num_images": len(texts),
        "num_mismatched": int((~whole).sum()),
        "auc": area_under_curve(scores[whole], scores[~whole]),
        "kept": kept,
    }


def _shows(judge: AttributeJudge, images: Tensor, texts: Sequence[str], attribute: str | None) -> Tensor:
    """Tells of each image whether it shows what its caption names: of one attribute, or of all."""
    predicted, _ = predict_attributes(judge, images)
    fits = torch.ones(len(texts), dtype=torch.bool)
    for row, text in enumerate(texts):
        named = read_caption(text).named()
        for name in (attribute,) if attribute else ATTRIBUTES:
            if name in named and int(predicted[name][row]) != named[name]:
                fits[row] = False
    return fits


def write_card(figures: Mapping[str, Any], seconds: Mapping[str, float], recipe: Mapping[str, Any]) -> str:
    """Writes the card in Markdown, with the head that model hubs read."""
    stage, generated = recipe["stage"], figures["generated"]
    lines = [
        "---",
        "license: apache-2.0",
        "pipeline_tag: zero-shot-image-classification",
        "---",
        "# The embedded scorer",
        "",
        f"A CLIP arm of this project for 32x32 digit scenes, `{figures['scorer_id']}`: an encoder and a text "
        "tower in one space. The cosine of an image and its caption is the image's alignment score. Load it "
        "with "
        '`stablerep.alignment.clip_arm.ClipArmScorer("data/06_models/scorer")`.',
        "",
        "## Training",
        "",
        f"`make scorer` with `scorer` of conf/params: {stage['num_images']:,} captioned real scenes of the "
        f"fit hands, each drawn once, in {seconds['training_s'] / 60:.0f} minutes on a CPU. No scene of a "
        "validation or held-out hand was ever seen.",
        "",
        "## Figures",
        "",
        f"{_NUM_SCENES:,} real scenes of validation hands. The own caption against one with a word changed: "
        "how often it scores higher (%), and the area under the ROC curve over all scenes together.",
        "",
        "| changed | own is higher | AUC |",
        "|---|---|---|",
    ]
    for name, each in figures["real"].items():
        lines.append(f"| {name} | {100 * each['paired']:.1f} | {each['auc']:.4f} |")
    lines += [
        "",
        f"{generated['num_images']:,} images of {_NUM_CAPTIONS} captions that the embedded generator drew at "
        f"the default settings; {generated['num_mismatched']} show something else than their caption, as a "
        f"classifier trained on real scenes reads them. The score tells these apart with an AUC of "
        f"{generated['auc']:.3f}. Share of kept images that show what their caption says, %:",
        "",
        "| dropped, the worst | lowest score kept | digit | all that the caption names |",
        "|---|---|---|---|",
    ]
    for share, each in generated["kept"].items():
        lines.append(
            f"| {100 * float(share):g} % | {each['threshold']:.3f} | {100 * each['digit']:.2f} | "
            f"{100 * each['all']:.2f} |"
        )
    lines += [
        "",
        "## Limits",
        "",
        "It knows digit scenes and the grammar of their captions, nothing else. It was trained on the hands "
        "that the generator was trained on, so both may read an odd hand alike; the classifier was as well.",
    ]
    return "\n".join(lines) + "\n"


class ScorerCard:
    """The two parts of the card as one object, which `scorer.card` names by `_target_`."""

    measure = staticmethod(measure)
    write = staticmethod(write_card)
