"""Trains the embedded scorer on captioned real scenes of the fit hands, drawn anew for each step.

The loss is CLIP's; a sigmoid loss of each scene's own caption and of false ones that differ in one word; and
the cross-entropy of classifiers on the encoder's features, which read what the caption names. Without
these the texture stays at chance: it costs CLIP's loss little, and the text tower learns to pass over the
word (docs/experiments.md).
Legend: B scenes, M distinct captions, K false captions of each, D dimensions, F features.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stablerep.alignment.clip_arm import TOKENIZER_FOLDER, ClipArm, save_clip_arm, tokenize
from stablerep.alignment.settings import ClipArmSizes, ScorerRecipe
from stablerep.digit_scenes.captioned_scenes import draw_captioned_scenes
from stablerep.digit_scenes.grammar import MAX_TOKENS, read_caption, vocabulary
from stablerep.digit_scenes.scenes import NUM_CLASSES
from stablerep.errors import check_range
from stablerep.generation.pretraining.architecture import build_tokenizer, reproducible_init
from stablerep.generation.pretraining.stage import run_stage
from stablerep.methods.image_text import image_text_loss

logger = logging.getLogger(__name__)

# Cosines of true pairs are to lie above the boundary, of false ones below; 0.1 from it the sigmoid is 0.88.
BOUNDARY = 0.5
STEEPNESS = 20.0
_WHERE = "conf/params/scorer/<name>.yaml"


@dataclass(frozen=True)
class SceneScorerTraining:
    """Trains a scorer on captioned scenes; see `stablerep.alignment.settings.ScorerRecipe.training`.

    Attributes:
        naming_probability: of each attribute, that a caption names it; None for the corpus's own.
        false_weight: weight of the false captions' part of the loss; 0 leaves it out.
        reading_weight: weight of the part in which classifiers read what captions name off the features; 0
            leaves it out.
    """

    naming_probability: float | None = None
    false_weight: float = 1.0
    reading_weight: float = 1.0

    def __post_init__(self) -> None:
        """Checks ranges."""
        key = "scorer.training"
        if self.naming_probability is not None:
            check_range(f"{key}.naming_probability", self.naming_probability, 0.01, 1, where=_WHERE)
        check_range(f"{key}.false_weight", self.false_weight, 0, where=_WHERE)
        check_range(f"{key}.reading_weight", self.reading_weight, 0, where=_WHERE)

    def train(self, recipe: ScorerRecipe, work: Path, target: Path) -> float:
        """Trains it, going on from the last checkpoint where there is one.

        Args:
            recipe: sizes, stage and seed.
            work: where the checkpoint lies.
            target: the scorer's folder, see `stablerep.alignment.clip_arm`.

        Returns:
            Seconds of training over all sittings.
        """
        return _train(self, recipe, work, target)


def _train(parts: SceneScorerTraining, recipe: ScorerRecipe, work: Path, target: Path) -> float:
    tokenizer = _tokenizer_of_sitting(work / TOKENIZER_FOLDER)
    model = reproducible_init(_ScorerInTraining, recipe.seed, recipe.sizes, tokenizer)
    model.train()

    def loss_of_step(network: nn.Module, step: int, num: int, process: int) -> Tensor:
        device = next(network.parameters()).device
        scenes = draw_captioned_scenes(
            num, "fit", "scorer", recipe.seed, step, process, naming_probability=parts.naming_probability
        )
        false_texts = scenes.false_texts if parts.false_weight else [[]] * num
        pairs = zip(scenes.texts, false_texts, strict=True)
        flat = [each for text, false in pairs for each in (text, *false)]
        distinct = list(dict.fromkeys(flat))
        row_of = {text: row for row, text in enumerate(distinct)}
        rows = torch.tensor([row_of[text] for text in flat], device=device).view(num, -1)
        token_ids = tokenize(tokenizer, distinct).to(device)
        image_BD, text_MD, logits = network(scenes.images.to(device), token_ids)
        scale = model.arm.text.logit_scale
        loss = scorer_loss(image_BD, text_MD, rows, scale, parts.false_weight)
        return loss + parts.reading_weight * reading_loss(logits, scenes.texts)

    seconds = run_stage("scorer", model, recipe.stage, loss_of_step, work)
    save_clip_arm(target, model.arm.eval(), recipe.sizes, tokenizer)
    return seconds


def _tokenizer_of_sitting(folder: Path) -> Any:
    """Returns the tokenizer of the first sitting: two that are built may number a few tokens otherwise."""
    from transformers import CLIPTokenizer

    if not folder.is_dir():
        beside = folder.with_name(f"{folder.name}.partial")
        build_tokenizer(vocabulary(), MAX_TOKENS).save_pretrained(beside)
        beside.replace(folder)
    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


class _ScorerInTraining(nn.Module):
    """The scorer with the classifiers that it is trained beside; they are not kept."""

    def __init__(self, sizes: ClipArmSizes, tokenizer: Any) -> None:
        super().__init__()
        self.arm = ClipArm(sizes, tokenizer)
        features = self.arm.encoder.num_features
        self.readers = nn.ModuleDict({name: nn.Linear(features, num) for name, num in NUM_CLASSES.items()})

    def forward(self, images: Tensor, token_ids: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        features_BF = self.arm.encoder(images)
        logits = {name: reader(features_BF) for name, reader in self.readers.items()}
        return self.arm.embed_features(features_BF), self.arm.text.embed_text(token_ids), logits


def reading_loss(logits: Mapping[str, Tensor], texts: Sequence[str]) -> Tensor:
    """Returns the cross-entropy of what captions name, the mean over attributes.

    Args:
        logits: by attribute (B, classes).
        texts: B captions; what one leaves open is left out.
    """
    named = [read_caption(text).named() for text in texts]
    parts = []
    for name, logits_BC in logits.items():
        rows = [row for row, values in enumerate(named) if name in values]
        target = torch.tensor([named[row][name] for row in rows], device=logits_BC.device)
        if rows:
            parts.append(F.cross_entropy(logits_BC[rows], target))
    return torch.stack(parts).mean() if parts else next(iter(logits.values())).sum() * 0


def scorer_loss(
    image_BD: Tensor, text_MD: Tensor, rows_BK: Tensor, logit_scale: Tensor, false_weight: float
) -> Tensor:
    """CLIP's loss, and the sigmoid loss of own captions against false ones (arXiv:2303.15343).

    The second has one boundary for all captions. CLIP's loss compares captions of one batch alone: one that
    names little and is true of most images would have low cosines with all, and a policy would reject them.

    Args:
        image_BD: (B, D), unit length.
        text_MD: (M, D), unit length, distinct captions.
        rows_BK: (B, 1 + K) int64 rows of text_MD; the own caption first, then the false ones. Where a false
            one is the own one, it is left out.
        logit_scale: scalar, the logarithm of CLIP's inverse temperature.
        false_weight: of the second part.

    Returns:
        A scalar.
    """
    own, caption_B = rows_BK[:, 0].unique(return_inverse=True)
    loss = image_text_loss(image_BD, text_MD[own], caption_B, logit_scale)
    if not false_weight or rows_BK.shape[1] == 1:
        return loss
    logits_BK = STEEPNESS * ((image_BD[:, None] * text_MD[rows_BK]).sum(dim=2) - BOUNDARY)
    false_BK = rows_BK[:, 1:] != rows_BK[:, :1]
    part = F.softplus(-logits_BK[:, 0]).mean()
    if false_BK.any():
        part = part + F.softplus(logits_BK[:, 1:][false_BK]).mean()
    return loss + false_weight * part
