"""How many views an arm sees in the seconds that another arm took, including those for drawing images.

Real images take no time to make, generated ones do. At equal compute an arm on real images sees more views:

    views = views of the other arm + (seconds to draw its images - seconds to draw the arm's own) x rate

The rate, in views per second, was measured while the other arm was trained; the seconds are from the ledgers
of the image sets. Taking photographs and writing captions are not counted.
"""

from stablerep.errors import DataError
from stablerep.image_sets.image_set import GENERATED, ImageSet
from stablerep.training.arms import TrainedArm


def seconds_to_draw(image_set: ImageSet) -> float:
    """Returns how long the generator took for the images of a set, including rejected ones.

    In a mixture, each generated part counts by the share of its images that the mixture has. Other images
    take no time.

    Raises:
        DataError: a set's ledger does not say how long its images took.
    """
    seconds = 0.0
    for part, source in image_set.parts.items():
        if source != GENERATED:
            continue
        facts = image_set.facts if part == image_set.name else image_set.facts["of"][part]
        total = facts["generation"].get("total_seconds")
        if not total:
            raise DataError(
                f"image set {part!r}: its ledger does not say how long its images took, which equal compute "
                f"needs. Draw it again: remove its folder and run kedro run --namespaces image_sets.{part}"
            )
        seconds += float(total) * int((image_set.images["part"] == part).sum()) / int(facts["num_images"])
    return seconds


def views_of_equal_compute(
    own_set: ImageSet, other_set: ImageSet, other: TrainedArm, views_per_step: int
) -> int:
    """Returns the views of an arm that takes as long as another arm: whole steps, at least one.

    Args:
        own_set: that the arm is trained on.
        other_set: that the other arm was trained on.
        other: the other arm, trained.
        views_per_step: of both arms.

    Raises:
        DataError: see `seconds_to_draw`.
    """
    last = other.history.iloc[-1]
    further = (seconds_to_draw(other_set) - seconds_to_draw(own_set)) * float(last["images_per_second"])
    return max(1, round((float(last["images"]) + further) / views_per_step)) * views_per_step
