"""The protocol of an image-set metric: one class in one file, one entry of the configuration.

A metric gets a sample of an image set and one of the reference set, with everything else that it may need in
a `Context`. It yields its values: of the whole set, and of each group that is large enough.
Legend: N images of the set, M of the reference, F features.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from stablerep.alignment.scorer import Scorer
from stablerep.evaluation.labelled_set import LabelledSet
from stablerep.image_set_metrics.extractors import FeatureExtractor
from stablerep.image_set_metrics.features import FeatureBank
from stablerep.image_set_metrics.sample import Sample

ALL = "all"  # the group of all images
NO_EXTRACTOR = "none"


@dataclass(frozen=True, eq=False)
class Group:
    """Images of one class or of one term of the audit, in the set and in the reference.

    Attributes:
        name: `all`, `<task>=<class>` or `<group of the audit>=<term>`.
        rows: of the sample.
        reference_rows: of the reference's sample.
    """

    name: str
    rows: np.ndarray
    reference_rows: np.ndarray


@dataclass(frozen=True)
class Measured:
    """A value.

    Attributes:
        metric: its name.
        group: see `Group`.
        value: of the images of the group.
        num_images: number of measured images; for a metric inside captions, of captions.
        num_reference: images that they were compared with; 0 if none are needed.
        extractor: the extractor of the features.
    """

    metric: str
    group: str
    value: float
    num_images: int
    num_reference: int = 0
    extractor: str = NO_EXTRACTOR


@dataclass(frozen=True, eq=False)
class Pair:
    """Two similar images, for the page that shows them.

    Attributes:
        kind: `near_duplicate`, `training_image` or `overlap`.
        image_id: of the image of the set.
        other_set: in which the other image is.
        other_id: of the other image.
        similarity: cosine of features, or share of bits of the hash.
        extractor: by whose features they are similar.
        pictures: both images, (3, H, W) uint8.
    """

    kind: str
    image_id: str
    other_set: str
    other_id: str
    similarity: float
    extractor: str
    pictures: tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Context:
    """What all image sets of a run share.

    Attributes:
        bank: computes and keeps features.
        extractor: the one that the configuration names.
        reference: the sample of the reference set.
        labelled: the evaluation set that the reference is a split of.
        splits: samples of every split of every evaluation set, by `<evaluation set>.<split>`.
        scorer: of alignment; None where images are not scored.
        training_images: images that the generator learned from; None where they are not known.
        seed: of every draw.
    """

    bank: FeatureBank
    extractor: FeatureExtractor
    reference: Sample
    labelled: LabelledSet
    splits: Mapping[str, Sample]
    scorer: Scorer | None = None
    training_images: Callable[[int], Sample] | None = None
    seed: int = 0

    def features(self, sample: Sample) -> np.ndarray:
        """Returns the (N, F) features of a sample."""
        return self.bank.features(self.extractor, sample)


@dataclass(frozen=True, eq=False)
class Comparison:
    """An image set against the reference.

    Attributes:
        context: of the run.
        sample: of the image set; the reference's own where the reference itself is measured.
        groups: that are large enough, `all` first.
        min_reference: images of the reference that a group must have for a comparison.
        pairs: that metrics have found, for the page.
    """

    context: Context
    sample: Sample
    groups: Sequence[Group]
    min_reference: int = 1
    pairs: list[Pair] = field(default_factory=list)

    @property
    def is_reference(self) -> bool:
        """Whether the reference itself is measured."""
        return self.sample is self.context.reference

    def means(self, metric: str, values: np.ndarray, extractor: str = NO_EXTRACTOR) -> Iterator[Measured]:
        """Yields the mean of each group that has a value.

        Args:
            metric: its name.
            values: (N,) of each image, NaN where it has none.
            extractor: whose features they are of.
        """
        for group in self.groups:
            own = values[group.rows]
            own = own[~np.isnan(own)]
            if len(own):
                yield Measured(metric, group.name, float(own.mean()), len(own), 0, extractor)


class SetMetric(ABC):
    """A metric of an image set.

    Attributes:
        name: as in the configuration.
        version: of its protocol; whatever changes its values, including a default, needs a new version.
        of_reference: whether the reference itself has a value, to compare with.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    of_reference: ClassVar[bool] = True

    def prepare(self, context: Context) -> Any:
        """Returns what serves every image set, such as a classifier; by default nothing."""
        del context

    @abstractmethod
    def measure(self, comparison: Comparison, prepared: Any) -> Iterator[Measured]:
        """Yields the values of a set.

        Args:
            comparison: the set and the reference.
            prepared: as `prepare` returned it.
        """


class FeatureDistance(SetMetric):
    """A metric that compares the features of a set with those of the reference, group by group."""

    of_reference = False

    @abstractmethod
    def values(self, features_NF: np.ndarray, reference_MF: np.ndarray, seed: int) -> dict[str, float]:
        """Returns the values by metric.

        Args:
            features_NF: float64.
            reference_MF: float64.
            seed: of draws.
        """

    def min_images(self, num_features: int) -> int:
        """Returns how many images each side must have; by default 2."""
        del num_features
        return 2

    def measure(self, comparison: Comparison, prepared: Any) -> Iterator[Measured]:
        """Yields the values of each group in which both sides have enough images."""
        context = comparison.context
        whole, reference = context.features(comparison.sample), context.features(context.reference)
        least = self.min_images(whole.shape[1])
        for group in comparison.groups:
            number, others = len(group.rows), len(group.reference_rows)
            needed = least if group.name == ALL else max(least, comparison.min_reference)
            if number < least or others < needed:
                continue
            own = np.asarray(whole[group.rows], dtype=np.float64)
            others_own = np.asarray(reference[group.reference_rows], dtype=np.float64)
            for metric, value in self.values(own, others_own, context.seed).items():
                yield Measured(metric, group.name, value, number, others, context.extractor.name)
