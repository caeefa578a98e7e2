"""Does the generator replicate its training images? Its images against those that it learned from.

For each image the most similar training image is found. New real images also have similar ones, so they
are the baseline: `nearer_than_real` is the probability that a generated image is nearer to a training
image than a real image of the reference is, 1/2 if it copies no more than chance, 1 for copies (the
statistic of the Mann-Whitney test, as in C. Meehan et al., arXiv:2004.05675).
Legend: N generated images, M real ones.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy.stats import rankdata

from stablerep.image_set_metrics.extractors import PerceptualHash
from stablerep.image_set_metrics.metric import Comparison, Context, Measured, Pair, SetMetric
from stablerep.image_set_metrics.nearest import is_copy, nearest_by_cosine, nearest_by_hash
from stablerep.image_set_metrics.sample import Sample
from stablerep.settings import Settings

logger = logging.getLogger(__name__)

_NUM_SHOWN = 12


class ReplicationSettings(Settings):
    """Settings of the search among training images."""

    section: ClassVar[str] = "set_metrics.replication"

    num_training_images: int = Field(
        4096,
        ge=1,
        description="of the generator, spread evenly over all; more images find more copies",
    )


@dataclass(frozen=True, eq=False)
class _Training:
    """Training images, and how near real images are to them.

    Attributes:
        sample: of the training images.
        real_M: (M,) cosines of the reference's images to their nearest training image.
    """

    sample: Sample
    real_M: np.ndarray


class Replication(SetMetric):
    """How near generated images are to the generator's training images.

    Args:
        num_training_images: see `ReplicationSettings`.

    Raises:
        ConfigError: a setting is out of its bounds.
    """

    name = "replication"
    version = 1
    of_reference = False

    def __init__(self, num_training_images: int = 4096) -> None:
        self.settings = ReplicationSettings(num_training_images=num_training_images)

    def prepare(self, context: Context) -> _Training | None:
        """Opens the training images; None where they are not known."""
        if context.training_images is None:
            return None
        training = context.training_images(self.settings.num_training_images)
        real, _ = nearest_by_cosine(context.features(context.reference), context.features(training))
        return _Training(training, real)

    def measure(self, comparison: Comparison, prepared: _Training | None) -> Iterator[Measured]:
        """Yields values of the generated images, and keeps the nearest pairs."""
        context, sample = comparison.context, comparison.sample
        generated = sample.table["generated"].to_numpy()
        if not generated.any():
            return
        if prepared is None:
            logger.info("%s: the training images of its generator are not known", sample.name)
            return
        cosines, rows = nearest_by_cosine(context.features(sample), context.features(prepared.sample))
        hash_of = PerceptualHash()
        hashes = [context.bank.features(hash_of, each) for each in (sample, prepared.sample)]
        copies = is_copy(nearest_by_hash(*hashes)[0]).astype(float)
        extractor = context.extractor.name
        yield from comparison.means("training_similarity", np.where(generated, cosines, np.nan), extractor)
        yield from comparison.means("training_copies", np.where(generated, copies, np.nan), hash_of.name)
        for group in comparison.groups:
            own = cosines[group.rows][generated[group.rows]]
            if len(own):
                value = probability_above(own, prepared.real_M)
                yield Measured(
                    "nearer_than_real", group.name, value, len(own), len(prepared.real_M), extractor
                )
        order = np.argsort(-np.where(generated, cosines, -np.inf), kind="stable")
        for row in order[: min(_NUM_SHOWN, int(generated.sum()))].tolist():
            comparison.pairs.append(_pair(comparison, prepared.sample, row, int(rows[row]), cosines[row]))


def _pair(comparison: Comparison, training: Sample, row: int, other: int, cosine: float) -> Pair:
    sample = comparison.sample
    return Pair(
        "training_image",
        sample.table["image_id"][row],
        training.name,
        training.table["image_id"][other],
        float(cosine),
        comparison.context.extractor.name,
        (sample.pixels.read(row), training.pixels.read(other)),
    )


def probability_above(values_N: np.ndarray, others_M: np.ndarray) -> float:
    """Returns P(value > other) + P(value = other) / 2, the Mann-Whitney statistic over N M."""
    ranks = rankdata(np.concatenate([values_N, others_M]))
    num = len(values_N)
    return float((ranks[:num].sum() - num * (num + 1) / 2) / (num * len(others_M)))
