"""Checks, before the first image is drawn, that the captions can give the images that the arms need.

A corpus may be able to render some captions only, and a method that learns from labels needs captions that
name classes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipelines.config.build import build_method
from stablerep.errors import DataError

if TYPE_CHECKING:
    from stablerep.corpora.corpus import Corpus

_ARMS = "conf/params/experiment/<name>.yaml"


def reads_captions(parameters: dict[str, Any]) -> bool:
    """Says whether an image set is rendered from captions, or an arm learns from labels in captions."""
    sets = parameters["image_sets"]
    return any(each["source"] == "rendered" for each in sets.values()) or any(
        sets[arm["images"]]["source"] == "generated" and _learns_from_labels(arm, parameters["method"])
        for arm in parameters["arms"].values()
    )


def check_captions_of_images(
    texts: Sequence[str],
    corpus: "Corpus",
    image_sets: dict[str, Any],
    arms: dict[str, Any],
    method: dict[str, Any],
) -> None:
    """Checks captions against the image sets and arms that use them.

    Args:
        texts: of the caption set.
        corpus: of the experiment.
        image_sets: the section.
        arms: the section.
        method: the section.

    Raises:
        DataError: the corpus cannot render a caption of a rendered set, or a method learns from labels and no
            caption names a class.
    """
    for name, settings in image_sets.items():
        if settings["source"] == "rendered":
            try:
                corpus.check_renderable(texts[: settings.get("num_captions") or len(texts)])
            except DataError as error:
                raise DataError(f"image_sets.{name} is rendered, but {error}") from error
    for name, arm in arms.items():
        settings = image_sets[arm["images"]]
        if settings["source"] != "generated" or not _learns_from_labels(arm, method):
            continue
        labels = corpus.labels_of(texts[: settings.get("num_captions") or len(texts)])
        if all(label is None for of_task in labels.values() for label in of_task):
            raise DataError(
                f"arms.{name}: method {arm['method']} learns from labels, and no caption of image set "
                f"{arm['images']!r} names a class of {', '.join(map(repr, labels)) or 'a task'}; some must. "
                f"Choose another method, or other captions. Change arms.{name} in {_ARMS}."
            )


def _learns_from_labels(arm: dict[str, Any], method: dict[str, Any]) -> bool:
    return bool(getattr(build_method(arm["method"], method[arm["method"]]), "uses_labels", False))
