"""Whether the corpus's own images suffice for the arms: checked before the first node, see `preflight`.

The sets are made of the corpus's listing, of which no image is read. Unreadable images and takedowns leave
fewer, never more.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.build import build_method
from pipelines.config.corpus import corpus_of_set
from pipelines.config.possible_arms import has_corpus_images
from pipelines.run.items import arm_and_seed, image_set_of, is_encoder
from stablerep.errors import ConfigError, DataError

if TYPE_CHECKING:
    from kedro.pipeline import Pipeline

    from stablerep.corpora.corpus import Corpus
    from stablerep.image_sets.image_set import ImageSet
    from stablerep.methods.batch import BatchSettings

_ARMS = "conf/params/experiment/<name>.yaml"


def check_corpus_images(pipeline: "Pipeline", corpus: "Corpus", parameters: dict[str, Any]) -> None:
    """Checks the image sets that are made of the corpus's own images, and the arms that are trained on them.

    Args:
        pipeline: the nodes that are to run; only its sets and arms are looked at.
        corpus: of the experiment, already checked.
        parameters: as composed.

    Raises:
        ConfigError: the corpus has no images, or a method takes several images of a caption and too few
            captions have them.
        DataError: the images do not fill a batch of an arm, or are fewer than a set's `num_images`.
    """
    used = pipeline.all_inputs() | pipeline.all_outputs()
    if not corpus.has_images():
        for name, settings in parameters["image_sets"].items():
            if image_set_of(name) in used and has_corpus_images(name, parameters["image_sets"]):
                raise ConfigError(
                    f"image_sets.{name}: got source {settings['source']}, but corpus {corpus.name!r} has no "
                    "images of its own. Choose a corpus with images, or source generated or rendered. Set it "
                    f"in {_ARMS}."
                )
        if not any(settings.get("evaluation_set") for settings in parameters["image_sets"].values()):
            return
    arms = dict.fromkeys(arm_and_seed(each)[0] for each in sorted(filter(is_encoder, pipeline.all_outputs())))
    sets = _Sets(corpus, parameters)
    for name in arms:
        images = parameters["arms"][name]["images"]
        made, most = sets.made_of_corpus(images), sets.most_images(images)
        if made is not None:
            _check_fills_a_batch(name, made, parameters)
        elif most is not None:
            _check_mixture_fills_a_batch(name, most, parameters)


class _Sets:
    """Image sets, made of the listing of a corpus.

    Args:
        corpus: with images.
        parameters: as composed.
    """

    def __init__(self, corpus: "Corpus", parameters: dict[str, Any]) -> None:
        self._corpus, self._parameters = corpus, parameters
        self._made: dict[str, ImageSet | None] = {}

    def made_of_corpus(self, name: str) -> "ImageSet | None":
        """Returns a set; None where it also has other images, or the corpus cannot list its own."""
        if name not in self._made:
            self._made[name] = self._make(name, self._parameters["image_sets"][name])
        return self._made[name]

    def most_images(self, name: str) -> int | None:
        """Returns how many images a set has at most; None where the corpus does not limit them."""
        made = self.made_of_corpus(name)
        if made is not None:
            return len(made.images)
        settings = self._parameters["image_sets"][name]
        if settings["shares_of"] == "captions":
            return None
        shares = settings.get("of") or {}
        most = {part: self.most_images(part) for part in shares}
        total = sum(shares.values())
        # as stablerep.image_sets.mixture: the scarcest part limits the others
        limits = [int(number * total / shares[part]) for part, number in most.items() if number is not None]
        if limits and settings.get("num_images"):
            limits.append(settings["num_images"])
        return min(limits, default=None)

    def _make(self, name: str, settings: dict[str, Any]) -> "ImageSet | None":
        import pandas as pd

        from pipelines.image_sets.amounts import amounts_of
        from stablerep.image_sets.corpus_set import from_corpus
        from stablerep.image_sets.mixture import mix

        if settings["source"] not in ("corpus", "mixture"):
            return None
        other = settings.get("as_many_as")
        amounts = amounts_of(settings, self.made_of_corpus(other) if other else None)
        seed = self._parameters["seeds"][0]
        if settings["source"] == "mixture":
            parts = {part: self.made_of_corpus(part) for part in settings["of"]}
            known = {part: each for part, each in parts.items() if each is not None}
            if known != parts:
                return None
            return mix(name, known, settings["of"], Path(), amounts, seed, settings["shares_of"])
        corpus = corpus_of_set(name, self._parameters, self._corpus)
        listing = corpus.listing()
        if listing is None:
            return None
        takedowns = pd.DataFrame({"what": [], "kind": []}, dtype="str")
        return from_corpus(name, listing, Path(), takedowns, amounts, seed, corpus.name)


def _batch_of(name: str, parameters: dict[str, Any]) -> "tuple[Any, BatchSettings, int]":
    """Returns the method of an arm, its batch, and how many captions the batch holds."""
    from pipelines.config.arm_plan import training_of

    arm = parameters["arms"][name]
    method = build_method(arm["method"], parameters["method"][arm["method"]])
    batch = training_of(name, arm, parameters["training"]).batch
    views = method.views_per_image * method.images_per_caption
    return method, batch, batch.captions_of(views, f"arm {name!r}")


def _check_mixture_fills_a_batch(name: str, most_images: int, parameters: dict[str, Any]) -> None:
    """Raises DataError where a mixture with images that are not made yet cannot have enough."""
    from stablerep.training.batches import MIN_IMAGES

    images = parameters["arms"][name]["images"]
    method, batch, needed = _batch_of(name, parameters)
    wanted = needed * min(method.images_per_caption, MIN_IMAGES)
    if most_images < wanted:
        raise DataError(
            f"arms.{name}: image set {images!r} has {most_images} images at most, because its "
            f"real part has so few; must be at least {wanted}, those of one batch of "
            f"{batch.num_views} views. Add images, change the shares, or set a smaller "
            "training.batch.captions."
        )


def _check_fills_a_batch(name: str, image_set: "ImageSet", parameters: dict[str, Any]) -> None:
    from stablerep.training.batches import MIN_IMAGES

    arm = parameters["arms"][name]
    method, batch, needed = _batch_of(name, parameters)
    sizes = image_set.images["caption_id"].value_counts()
    if method.images_per_caption > 1:
        several = int((sizes >= MIN_IMAGES).sum())
        if several < needed:
            raise ConfigError(
                f"arms.{name}: method {arm['method']} cannot be trained on image set {arm['images']!r}: it "
                f"takes several images of each caption, {several} captions have {MIN_IMAGES} images or more, "
                f"and one batch needs {needed}. Choose another method, or an image set with several images "
                f"per caption, such as a generated one. Change arms.{name} in {_ARMS}."
            )
    elif len(sizes) < needed:
        raise DataError(
            f"arms.{name}: image set {arm['images']!r} has {len(sizes)} different captions to train on (an "
            f"image without a caption counts as one); must be at least {needed}, those of one batch of "
            f"{batch.num_views} views. Add images, or set a smaller training.batch.captions."
        )
