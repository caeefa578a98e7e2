"""The attribute judge: reads digit, ink, ground and texture off a scene.

A small classifier trained on real scenes of the fit hands. It tells how many generated images show what
their caption says; its own accuracy on real scenes of other hands is the ceiling of that figure.
Legend: B images, F features.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from stablerep.digit_scenes.grammar import read_caption
from stablerep.digit_scenes.scenes import NUM_CLASSES, Scenes, draw_scenes
from stablerep.models.residual import ResidualEncoder
from stablerep.seeding import seed_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JudgeRecipe:
    """How the judge is trained.

    Attributes:
        num_images: scenes seen in all, each drawn anew.
        batch_size: scenes a step.
        learning_rate: peak of a cosine.
        seed: of weights and scenes.
    """

    num_images: int = 96_000
    batch_size: int = 128
    learning_rate: float = 2e-3
    seed: int = 0


class AttributeJudge(nn.Module):
    """One encoder with a linear classifier an attribute."""

    def __init__(self) -> None:
        """Builds it with random weights."""
        super().__init__()
        self.encoder = ResidualEncoder(channels=(32, 64, 128), map_channels=64)
        self.dropout = nn.Dropout(0.3)
        heads = {k: nn.Linear(self.encoder.num_features + 3, n) for k, n in NUM_CLASSES.items()}
        self.heads = nn.ModuleDict(heads)

    def features(self, images: Tensor) -> Tensor:
        """Maps (B, 3, 32, 32) in [0, 1] to (B, F): the encoder's features and the mean colour."""
        return torch.cat([self.encoder(images), images.mean(dim=(2, 3))], dim=1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps (B, 3, 32, 32) in [0, 1] to (B, classes) logits an attribute."""
        features = self.dropout(self.features(images))
        return {name: head(features) for name, head in self.heads.items()}


def train_judge(recipe: JudgeRecipe) -> AttributeJudge:
    """Trains a judge on scenes of the fit hands; a function of the recipe alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of("judge", recipe.seed))
        judge = AttributeJudge()
        optimizer = torch.optim.AdamW(judge.parameters(), lr=recipe.learning_rate, weight_decay=0.05)
        num_steps = recipe.num_images // recipe.batch_size
        judge.train()
        for step in range(num_steps):
            scenes = draw_scenes(recipe.batch_size, "fit", "judge", recipe.seed, step)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * step / num_steps))
            logits = judge(scenes.images)
            losses = [F.cross_entropy(logits[name], scenes.labels[name]) for name in NUM_CLASSES]
            loss = torch.stack(losses).sum()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if (step + 1) % 100 == 0:
                logger.info("judge: step %d/%d, loss %.3f", step + 1, num_steps, float(loss.detach()))
    return judge.eval()


@torch.inference_mode()
def predict_attributes(
    judge: AttributeJudge, images: Tensor, batch_size: int = 512
) -> tuple[dict[str, Tensor], Tensor]:
    """Reads attributes off images.

    Args:
        judge: trained.
        images: (B, 3, 32, 32) float32 in [0, 1].
        batch_size: images at a time.

    Returns:
        Per attribute (B,) int64 classes, and (B, F) features.
    """
    judge.eval()
    classes: dict[str, list[Tensor]] = {name: [] for name in NUM_CLASSES}
    features: list[Tensor] = []
    for part in images.split(batch_size):
        inner = judge.features(part)
        features.append(inner)
        for name, head in judge.heads.items():
            classes[name].append(head(inner).argmax(dim=1))
    return {name: torch.cat(parts) for name, parts in classes.items()}, torch.cat(features)


def accuracy_on_scenes(judge: AttributeJudge, scenes: Scenes) -> dict[str, float]:
    """Returns the share of real scenes whose attribute is read right, by attribute."""
    predicted, _ = predict_attributes(judge, scenes.images)
    return {k: float((predicted[k] == scenes.labels[k]).float().mean()) for k in NUM_CLASSES}


def match_rates(judge: AttributeJudge, images: Tensor, texts: Sequence[str]) -> dict[str, float]:
    """Measures images against the captions they were made of.

    Args:
        judge: trained.
        images: (B, 3, 32, 32) float32 in [0, 1].
        texts: B captions.

    Returns:
        Per attribute the share of images that show what their caption names, among those whose caption
        names it; `diversity`, the mean cosine distance between the features of images of one caption.
    """
    predicted, features = predict_attributes(judge, images)
    named = [read_caption(text).named() for text in texts]
    rates: dict[str, float] = {}
    for name in NUM_CLASSES:
        rows = [i for i, values in enumerate(named) if name in values]
        if rows:
            wanted = torch.tensor([named[i][name] for i in rows])
            rates[name] = float((predicted[name][rows] == wanted).float().mean())
    rates["diversity"] = _distance_inside_captions(features, texts)
    return rates


def _distance_inside_captions(features: Tensor, texts: Sequence[str]) -> float:
    groups: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        groups.setdefault(text, []).append(row)
    unit = F.normalize(features, dim=1)
    distances = []
    for rows in groups.values():
        if len(rows) > 1:
            inner = unit[rows]
            # above 1 by rounding, copies would be less than 0 apart
            similar = (inner @ inner.T).clamp(-1, 1)
            apart = ~torch.eye(len(rows), dtype=torch.bool)
            distances.append(1 - similar[apart].mean())
    return float(torch.stack(distances).mean()) if distances else math.nan


def save_judge(judge: AttributeJudge, path: Path) -> None:
    """Writes the judge's weights as safetensors."""
    save_file(judge.state_dict(), path)


def load_judge(path: Path) -> AttributeJudge:
    """Reads what `save_judge` wrote."""
    judge = AttributeJudge()
    judge.load_state_dict(load_file(path))
    return judge.eval()
