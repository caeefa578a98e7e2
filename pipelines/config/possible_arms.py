"""Which arms can be trained on the captions that their image sets have."""

import logging
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from pipelines.config.build import build_method
from pipelines.config.corpus import build_corpus, corpus_of_set
from stablerep.errors import ConfigError

if TYPE_CHECKING:
    from stablerep.corpora.corpus import Corpus

logger = logging.getLogger(__name__)


def has_corpus_images(name: str, image_sets: dict[str, Any]) -> bool:
    """Says whether a set has the corpus's own images: all of it, or a part of a mixture."""
    settings = image_sets[name]
    if settings.get("evaluation_set"):
        return False
    return settings["source"] == "corpus" or any(
        has_corpus_images(part, image_sets) for part in settings.get("of") or {}
    )


def trains_on_corpus_images(parameters: dict[str, Any]) -> bool:
    """Says whether an arm is trained on the corpus's own images, of which a mixture may have some."""
    sets = parameters["image_sets"]
    return any(has_corpus_images(arm["images"], sets) for arm in parameters["arms"].values())


def lacks_captions(method: Any, images: str, image_sets: dict[str, Any], corpus: "Corpus") -> bool:
    """Says whether a method needs captions where the images of the corpus have none.

    Args:
        method: as built.
        images: the name of the arm's image set.
        image_sets: the section.
        corpus: whose real images the set has, see `corpus_of_set`.

    Raises:
        DataError: the corpus cannot be read.
    """
    has_real_images = image_sets[images].get("evaluation_set") or has_corpus_images(images, image_sets)
    return getattr(method, "uses_text", False) and bool(has_real_images) and not corpus.has_captions()


def has_one_image_per_caption(
    name: str, image_sets: dict[str, Any], has_no_caption_twice: Callable[[], bool]
) -> bool:
    """Says whether no caption of a set has several images, as far as that is known before they are made.

    Args:
        name: of the set.
        image_sets: the section.
        has_no_caption_twice: says whether no two train images of the corpus have an equal caption.
    """
    settings = image_sets[name]
    if settings["source"] == "mixture":
        # a caption of two parts has the images of both
        alone = len(settings["of"]) == 1 or settings["shares_of"] == "captions"
        return alone and all(
            has_one_image_per_caption(each, image_sets, has_no_caption_twice) for each in settings["of"]
        )
    if settings["source"] == "rendered":
        return (settings["images_per_caption"] or 1) == 1
    if settings["source"] == "corpus":
        return settings["images_per_caption"] == 1 or has_no_caption_twice()
    return False


def _has_no_caption_twice(corpus: "Corpus") -> bool:
    """Says whether no two train images of a corpus have an equal caption."""
    listing = corpus.listing()
    if listing is None:
        return False
    captions = listing.loc[listing["split"] == "train", "captions"].explode().dropna()
    return not captions[captions != ""].duplicated().any()


def _why_impossible(
    method: Any,
    images: str,
    image_sets: dict[str, Any],
    corpus: "Corpus",
    has_no_caption_twice: Callable[[], bool],
) -> str:
    """Returns why a method cannot be trained on a set; empty where nothing is known against it."""
    if lacks_captions(method, images, image_sets, corpus):
        return f"needs captions, and corpus {corpus.name!r} has none"
    if method.images_per_caption > 1 and has_one_image_per_caption(images, image_sets, has_no_caption_twice):
        return f"needs several images of a caption, and image set {images!r} has one"
    return ""


def without_impossible_arms(parameters: dict[str, Any]) -> dict[str, Any]:
    """Leaves out the arms with `if_possible` whose method needs captions that their images do not have.

    The corpus is read only where there is such an arm.

    Args:
        parameters: as composed and checked.

    Raises:
        ConfigError: no arm is left.
        DataError: the corpus cannot be read.
    """
    arms = parameters["arms"]
    if not any(arm["if_possible"] for arm in arms.values()):
        return parameters
    corpus = build_corpus(parameters["corpus"])
    sets, no_caption_twice = parameters["image_sets"], cache(partial(_has_no_caption_twice, corpus))
    kept: dict[str, Any] = {}
    for name, arm in arms.items():
        method = build_method(arm["method"], parameters["method"][arm["method"]])
        reason = ""
        if arm["if_possible"]:
            own = corpus_of_set(arm["images"], parameters, corpus)
            twice = no_caption_twice if own is corpus else partial(_has_no_caption_twice, own)
            reason = _why_impossible(method, arm["images"], sets, own, twice)
        if reason:
            logger.warning("arms.%s is left out: method %s %s.", name, arm["method"], reason)
        else:
            kept[name] = arm
    lost = [name for name, arm in kept.items() if (arm["as_much_compute_as"] or name) not in kept]
    for name in lost:
        other = kept.pop(name)["as_much_compute_as"]
        logger.warning("arms.%s is left out: it takes its compute from %s, which is left out.", name, other)
    if not kept:
        raise ConfigError(
            f"arms: none is left, because corpus {corpus.name!r} has no captions, or too few images of one, "
            "and each arm needs them; must have one whose method does without. Set it in "
            "conf/params/experiment/<name>.yaml."
        )
    return parameters | {"arms": kept}
