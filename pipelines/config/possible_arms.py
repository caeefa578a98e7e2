"""Which arms can be trained on the captions that their image sets have."""

import logging
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
    left_out = [
        name
        for name, arm in arms.items()
        if arm["if_possible"]
        and lacks_captions(
            build_method(arm["method"], parameters["method"][arm["method"]]),
            arm["images"],
            parameters["image_sets"],
            corpus_of_set(arm["images"], parameters, corpus),
        )
    ]
    for name in left_out:
        logger.warning(
            "arms.%s is left out: method %s needs captions, and corpus %r has none.",
            name,
            arms[name]["method"],
            corpus.name,
        )
    kept = {name: arm for name, arm in arms.items() if name not in left_out}
    if not kept:
        raise ConfigError(
            f"arms: none is left, because corpus {corpus.name!r} has no captions and each arm needs them; "
            "must have one whose method does without. Set it in conf/params/experiment/<name>.yaml."
        )
    return parameters | {"arms": kept}
