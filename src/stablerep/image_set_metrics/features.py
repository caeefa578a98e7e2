"""The features of samples: computed once for each extractor and sample, and kept on the disk.

Legend: N images, F features.
"""

import logging
import time
from collections.abc import Iterator

import numpy as np

from stablerep.errors import DataError
from stablerep.evaluation.feature_store import FeatureKey, FeatureStore
from stablerep.evaluation.features import read_ahead
from stablerep.image_set_metrics.extractors import FeatureExtractor
from stablerep.image_set_metrics.sample import Sample

logger = logging.getLogger(__name__)

_SPLIT = "images"  # a sample has one
_OWN_SIZE = 0  # images come in their own size, and the extractor resizes them
_BATCH_SIZE = 256


class FeatureBank:
    """Features by extractor and sample.

    Args:
        store: where they are kept.
    """

    def __init__(self, store: FeatureStore) -> None:
        self.store = store
        self.keys: list[FeatureKey] = []  # of all features that were used; the rest can be pruned

    def features(self, extractor: FeatureExtractor, sample: Sample) -> np.ndarray:
        """Returns (N, F) memory-mapped features of the extractor's dtype.

        Raises:
            DataError: features are not finite, or the disk refuses.
        """
        key = FeatureKey(extractor.extractor_id, sample.digest, _OWN_SIZE, extractor.dtype)
        self.keys.append(key)
        found = self.store.read(key, _SPLIT)
        if found is not None:
            return found
        started = time.monotonic()
        found = self.store.write(key, _SPLIT, len(sample), _compute(extractor, sample))
        logger.info(
            "%s: %s of %d images in %.1f s",
            sample.name,
            extractor.name,
            len(sample),
            time.monotonic() - started,
        )
        return found

    def prune(self) -> None:
        """Removes the features that were not used."""
        self.store.prune(self.keys)


def _compute(extractor: FeatureExtractor, sample: Sample) -> Iterator[np.ndarray]:
    for images in read_ahead(sample.pixels, np.arange(len(sample)), _BATCH_SIZE):
        features = extractor.extract(images)
        if not np.isfinite(features).all():
            raise DataError(
                f"{sample.name}: {extractor.name} gives features that are not finite; all must be. Its "
                "weights may be damaged: restore them, or choose another with extractor=<name>."
            )
        yield features.astype(extractor.dtype)
