"""Near-duplicates within a set: the share of images with a copy or near-copy in it.

By the perceptual hash of `stablerep.generation.image_sets.image_hash`: at most 15 of 256 bits differ.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from stablerep.generation.image_sets.image_hash import nearest_hashes
from stablerep.image_set_metrics.extractors import PerceptualHash
from stablerep.image_set_metrics.metric import Comparison, Measured, Pair, SetMetric
from stablerep.image_set_metrics.nearest import share_of_bits

_NUM_SHOWN = 12


class NearDuplicates(SetMetric):
    """The share of images with a near-duplicate among the measured ones."""

    name = "near_duplicates"
    version = 1

    def measure(self, comparison: Comparison, prepared: Any) -> Iterator[Measured]:
        """Yields `near_duplicates`, and keeps the nearest pairs."""
        sample = comparison.sample
        hashes = comparison.context.bank.features(PerceptualHash(), sample)
        distances, others = nearest_hashes([each.tobytes() for each in hashes])
        found = ~np.isnan(distances)
        yield from comparison.means(self.name, found.astype(float), PerceptualHash.name)
        ids = sample.table["image_id"]
        shown: set[frozenset[int]] = set()
        for row in np.argsort(distances, kind="stable")[: int(found.sum())].tolist():
            pair = frozenset((row, int(others[row])))
            if pair in shown or len(shown) == _NUM_SHOWN:
                continue
            shown.add(pair)
            other = int(others[row])
            comparison.pairs.append(
                Pair(
                    "near_duplicate", ids[row], sample.name, ids[other],
                    float(share_of_bits(distances[row])), PerceptualHash.name,
                    (sample.pixels.read(row), sample.pixels.read(other)),
                )
            )  # fmt: skip
