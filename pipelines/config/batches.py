"""Whether captions fill a batch of every arm that is trained on images made of them."""

from typing import Any

from pipelines.config.arm_plan import training_of
from pipelines.config.build import build_method
from stablerep.errors import DataError


def check_batches(
    num_captions: int,
    image_sets: dict[str, Any],
    arms: dict[str, Any],
    method: dict[str, Any],
    training: dict[str, Any],
    corpus: dict[str, Any],
) -> None:
    """Raises DataError where the captions do not fill a batch of every arm; it names the arm that needs most.

    Args:
        num_captions: that there are, or can be at most.
        image_sets: the section.
        arms: the section.
        method: the section.
        training: the section.
        corpus: the section; the message names its files.
    """
    lacking = []
    for name, arm in arms.items():
        image_set = image_sets[arm["images"]]
        if image_set["source"] not in ("generated", "rendered"):
            continue
        number = min(num_captions, image_set.get("num_captions") or num_captions)
        # built, because a setting that is left out has the default of its class
        built = build_method(arm["method"], method[arm["method"]])
        batch = training_of(name, arm, training).batch
        needed = batch.captions_of(built.views_per_image * built.images_per_caption, f"arm {name!r}")
        if number < needed:
            lacking.append((needed, number, name, batch.num_views))
    if lacking:
        needed, number, name, num_views = max(lacking)
        raise DataError(
            f"captions: got {number}; must be at least {needed}, which one batch of arm {name!r} "
            f"takes for its {num_views} views. Add captions to {_files_of(corpus)}, look at why "
            "data/03_primary/rejected_captions.parquet has others, or set a smaller training.batch.captions."
        )


def _files_of(corpus: dict[str, Any]) -> str:
    path = corpus.get("path")
    if path is None:
        return "the corpus"
    return ", ".join(map(str, path.values())) if isinstance(path, dict) else str(path)
