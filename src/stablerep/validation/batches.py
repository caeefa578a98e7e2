"""Whether the captions fill a batch of every arm: noticed before images are made that nobody can train on."""

from collections.abc import Mapping
from typing import Protocol

from stablerep.errors import DataError
from stablerep.methods.batch import BatchSettings


class BatchShape(Protocol):
    """What of a method decides how many captions its batches hold; see `stablerep.methods.method`."""

    @property
    def images_per_caption(self) -> int:
        """Images of one caption in a batch."""

    @property
    def views_per_image(self) -> int:
        """Views of one image in a batch."""


def check_captions_fill_a_batch(
    num_captions: int, batch: BatchSettings, method_of_arm: Mapping[str, BatchShape]
) -> None:
    """Raises DataError where an arm's batch holds more captions than there are.

    Args:
        num_captions: accepted captions.
        batch: what a step holds.
        method_of_arm: by the arm's name.
    """
    wanted = {
        arm: batch.captions_of(method.views_per_image * method.images_per_caption, f"arm {arm!r}")
        for arm, method in method_of_arm.items()
    }
    arm = max(wanted, key=lambda name: wanted[name])
    if num_captions < wanted[arm]:
        raise DataError(
            f"captions: got {num_captions}; must be at least {wanted[arm]}, for so many are in one batch of "
            f"arm {arm!r} of {batch.num_views} views. Add captions to data/01_raw/captions.csv, "
            "look at why data/03_primary/rejected_captions.parquet has others, or set a "
            "smaller training.batch.captions."
        )
