"""Overlap: the share of a split's images that are in an image set, or nearly.

A test image in a set that arms are trained on makes the test less valid. `identical` compares the digests of
all images; `overlap` the perceptual hashes of the measured ones, so that a resized or compressed copy counts.
The reference's own rows say what it shares with the other splits.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from stablerep.image_set_metrics.extractors import PerceptualHash
from stablerep.image_set_metrics.metric import ALL, Comparison, Measured, Pair, SetMetric
from stablerep.image_set_metrics.nearest import is_copy, nearest_by_hash, share_of_bits

_NUM_SHOWN = 12


class Overlap(SetMetric):
    """What an image set shares with each split of each evaluation set; only for whole sets, not groups."""

    name = "overlap"
    version = 1

    def measure(self, comparison: Comparison, prepared: Any) -> Iterator[Measured]:
        """Yields `identical.<set>.<split>` and `overlap.<set>.<split>`; counts are of the split."""
        context, sample = comparison.context, comparison.sample
        hash_of = PerceptualHash()
        own = context.bank.features(hash_of, sample)
        for name, split in context.splits.items():
            if name == sample.name:
                continue
            shared = len(split.set_digests & sample.set_digests) / len(split.set_digests)
            yield Measured(f"identical.{name}", ALL, shared, len(split.set_digests))
            distances, rows = nearest_by_hash(context.bank.features(hash_of, split), own)
            copies = is_copy(distances)
            yield Measured(f"overlap.{name}", ALL, float(copies.mean()), len(split), 0, hash_of.name)
            for place in np.flatnonzero(copies)[np.argsort(distances[copies], kind="stable")][:_NUM_SHOWN]:
                row = int(rows[place])
                comparison.pairs.append(
                    Pair(
                        "overlap", sample.table["image_id"][row], name, split.table["image_id"][place],
                        float(share_of_bits(distances[place])), hash_of.name,
                        (sample.pixels.read(row), split.pixels.read(int(place))),
                    )
                )  # fmt: skip
