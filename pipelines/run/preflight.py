"""Checks before the first node of a run: faults that would otherwise be noticed after work was done.

A fault found here leaves everything under data/ as it was, and starts no run in MLflow.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

from pipelines.config.arguments import check_arguments
from pipelines.config.build import build_method
from pipelines.config.catalog import check_datasets, entries_of_catalog
from pipelines.config.corpus import CORPORA, build_corpus, corpus_of_set
from pipelines.config.executor import build_executor
from pipelines.config.possible_arms import lacks_captions
from pipelines.config.references import check_references
from pipelines.run.chosen_parts import check_chosen_parts
from pipelines.run.current import CURRENT
from pipelines.run.items import is_encoder
from pipelines.run.launcher import is_follower
from pipelines.tracking.store import check_store
from stablerep.errors import ConfigError

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline

    from stablerep.corpora.corpus import Corpus

logger = logging.getLogger(__name__)

# The last part of the names of the nodes that draw images with the model.
DRAWING = {"generate_images", "tune_guidance"}
_REPORTING = "build_report"  # is given the whole configuration
# Keys of the generator that other sections refer to: the size of a batch and of the encoder's images, and the
# tokenizer that counts a caption's tokens.
_USED_BY_OTHERS = {"images_per_caption", "saved_size_px", "model_folder"}
_ARMS = "conf/params/experiment/<name>.yaml"


class PreflightHooks:
    """Checks before a run what its nodes would fail on."""

    def __init__(self) -> None:
        self._parameters: dict[str, Any] = {}
        self._given: dict[str, Any] = {}
        self._project = Path()
        self._entries: dict[str, Any] = {}

    @hook_impl
    def after_context_created(self, context: "KedroContext") -> None:
        """Checks what the options name; keeps the parameters, what `--params` gave, where the project is."""
        from kedro.framework.project import pipelines

        self._project = context.project_path
        self._parameters = context.config_loader["parameters"]
        self._given = context.config_loader.runtime_params or {}
        if CURRENT.options:
            check_chosen_parts(CURRENT.options, pipelines, entries_of_catalog(context.config_loader))

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Keeps the entries of the catalog."""
        self._entries = conf_catalog

    # first of all: tracking must not start a run that ends here
    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: "Pipeline", catalog: "DataCatalog") -> None:
        """Raises a StableRepError for a run that cannot come to its end; else the nodes share its corpora."""
        if not is_follower():  # of a launcher's processes the first alone tracks
            check_store(self._project)
        CORPORA.keep()
        try:
            check_datasets(pipeline, catalog, self._entries)
            check_before_run(pipeline, catalog, self._parameters, self._given)
        except BaseException:  # Kedro calls on_pipeline_error for faults of nodes only
            CORPORA.forget()
            raise

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Forgets the run's corpora."""
        CORPORA.forget()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Forgets the run's corpora."""
        CORPORA.forget()


def check_before_run(
    pipeline: "Pipeline",
    catalog: "DataCatalog",
    parameters: dict[str, Any],
    given: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Checks what the nodes of a run are given.

    Args:
        pipeline: the nodes that are to run.
        catalog: where their inputs are.
        parameters: as composed.
        given: what `--params` gave of them, by dotted key or nested.

    Raises:
        ConfigError: a generator is given that nothing uses; a method, the encoder, the executor, the corpus,
            an evaluation or an evaluation set refuses its settings; an evaluation set has no labels or too
            few; an arm cannot be trained on its image set; or a generator is to learn from images that
            cannot be made.
        GeneratorError: images are to be drawn, and the model is missing, incomplete or damaged.
        DataError: an output cannot be written, the corpus or an evaluation set cannot be read, the scorer is
            missing or damaged, the weights of a reference are missing or do not fit, arms are to be trained
            on captions or images that are too few, images cannot be made of the captions, or a generator is
            to learn from a corpus without captioned images.
    """
    from pipelines.run.evaluation_checks import (
        EVALUATING,
        MEASURING,
        check_evaluation_sets,
        check_evaluations,
        check_set_metrics,
    )
    from pipelines.run.output_checks import check_outputs

    corpus: Corpus | None = None
    check_outputs(pipeline, catalog)
    nodes = {node.name.rsplit(".", 1)[-1] for node in pipeline.nodes}
    taken = pipeline.inputs()
    if not any("params:generator" in node.inputs for node in pipeline.nodes if node.name != _REPORTING):
        check_generator_is_used(given, parameters)
    _check_settings(parameters, nodes, taken)
    if "curate_captions" in nodes:
        check_captions_files(parameters)  # before what takes time or needs a model
    if "params:encoder" in taken:
        check_encoder(parameters["encoder"]["backbone"])
        check_local_crops_of_arms(parameters)
    if "params:references" in taken:
        check_references(parameters["references"])
    if "params:corpus" in taken:
        corpus = build_corpus(parameters["corpus"])
        _check_corpus(pipeline, catalog, corpus, parameters)
    if "params:pretraining" in taken:
        check_pretraining(parameters["pretraining"], parameters["generator"])
    evaluation_sets = check_evaluation_sets(pipeline, parameters, corpus)
    if not nodes.isdisjoint(EVALUATING):
        check_evaluations(parameters["evaluation"], evaluation_sets)
    if MEASURING in nodes:
        check_set_metrics(catalog, parameters)
    _check_drawing_and_scoring(catalog, parameters, nodes, taken)
    if corpus and any(map(is_encoder, pipeline.all_outputs())) and "curate_captions" in nodes:
        _check_captions(corpus, parameters)


def _check_settings(parameters: dict[str, Any], nodes: set[str], taken: set[str]) -> None:
    """Checks what needs no file and no model: filters and methods."""
    if "curate_captions" in nodes:
        check_filters(parameters["curation"])
    if any(name.startswith("params:method") for name in taken):
        for name, entry in parameters["method"].items():
            build_method(name, entry)


def _check_corpus(
    pipeline: "Pipeline", catalog: "DataCatalog", corpus: "Corpus", parameters: dict[str, Any]
) -> None:
    """Checks the corpus, and what image sets and arms need of it and of its captions."""
    from pipelines.run.image_checks import check_corpus_images

    corpus.check()
    check_image_sets(corpus, parameters)
    check_arms(corpus, parameters)
    check_corpus_images(pipeline, corpus, parameters)
    if "caption_set" in pipeline.inputs():
        _check_caption_set(catalog, corpus, parameters)


def _check_caption_set(catalog: "DataCatalog", corpus: "Corpus", parameters: dict[str, Any]) -> None:
    """Checks the captions that an earlier run accepted, if this run has no validation that would."""
    from pipelines.config.caption_images import check_captions_of_images, reads_captions

    if not reads_captions(parameters) or not catalog.exists("caption_set"):
        return
    texts = list(catalog.load("caption_set")["text"])
    check_captions_of_images(texts, corpus, *(parameters[key] for key in ("image_sets", "arms", "method")))


def check_filters(curation: Mapping[str, Any]) -> None:
    """Makes the filters of captions; warns where there are none.

    Raises:
        ConfigError: an entry names no filter, or has an argument that it does not take.
    """
    if not curation["filters"]:
        logger.warning(
            "curation.filters is empty: every caption that can be read is kept. "
            "Set filters in conf/params/curation/<name>.yaml."
        )
    for index, entry in enumerate(curation["filters"]):
        # where model_folder is null, it is the catalog's generator
        filled = {**entry, "model_folder": entry["model_folder"] or "."} if "model_folder" in entry else entry
        check_arguments(f"curation.filters[{index}]", filled, "conf/params/curation/<name>.yaml")


def check_generator_is_used(given: Mapping[str, Any], parameters: dict[str, Any]) -> None:
    """Raises ConfigError where the user chose a generator, or values of it, and no image set is generated.

    Args:
        given: what `--params` gave, by dotted key or nested; what an experiment's file chooses is not in it.
        parameters: as composed.
    """
    if any(settings["source"] == "generated" for settings in parameters["image_sets"].values()):
        return
    for key, value in given.items():
        section, _, name = str(key).partition(".")
        if section != "generator":
            continue
        keys = [name] if name else list(value) if isinstance(value, Mapping) else [""]
        unused = [each for each in keys if each not in _USED_BY_OTHERS]
        if unused:
            shown = f"generator.{unused[0]}" if unused[0] else f"generator={value}"
            raise ConfigError(
                f"--params: got {shown}, but experiment {parameters['experiment_name']!r} generates no "
                "images; must be an experiment with an image set of source generated. Choose one, such as "
                "experiment=own_images_generated, or add image_sets.synthetic={source: generated} and an arm "
                f"that is trained on it, or leave {shown} out."
            )


def check_captions_files(parameters: dict[str, Any]) -> None:
    """Raises StableRepError where the corpus's captions files are missing or of a format that is not read."""
    from stablerep.curation.settings import Reading

    build_corpus(parameters["corpus"]).check_captions(Reading.read(parameters["curation"]["reading"]))


def check_pretraining(recipe: dict[str, Any], generator: dict[str, Any]) -> None:
    """Checks the images that a generator learns from, and the size at which it is measured.

    Args:
        recipe: the section `pretraining`.
        generator: the section `generator`, by which the trained generator is measured.

    Raises:
        ConfigError: the images cannot be made, their size does not fit the networks, or `generator.size_px`
            is another one.
        DataError: a corpus has no images in train with captions.
    """
    from stablerep.generation.pretraining.captioned_pixels import build_captioned_pixels
    from stablerep.generation.pretraining.recipe import PretrainingRecipe

    read = PretrainingRecipe.read(recipe)
    images = build_captioned_pixels(read.images, read.size_step_px)
    if generator["size_px"] != images.size_px:
        raise ConfigError(
            f"generator.size_px: got {generator['size_px']}; must be {images.size_px}, the side of the "
            "images that pretraining learns from: the generator is measured at this size. Set it in "
            "conf/params/generator/<name>.yaml."
        )


def check_encoder(backbone: dict[str, Any]) -> None:
    """Raises ConfigError where the encoder does not take images of its size, or gives other features."""
    import torch

    from stablerep.models.encoders import build_encoder

    name = backbone.get("name", backbone["_target_"])
    # shapes alone: no memory is taken and no weight is drawn
    with torch.device("meta"), torch.no_grad():
        built = build_encoder(backbone)
        try:
            features = built(torch.zeros(2, 3, built.size_px, built.size_px))
        except (RuntimeError, AssertionError, ValueError, AttributeError) as error:
            raise ConfigError(
                f"encoder.backbone: {name} takes no images of {built.size_px} px in training ({error}); must "
                "be one that does. Set encoder.backbone in conf/params/encoder/<name>.yaml."
            ) from error
    if features.shape != (2, built.num_features):
        raise ConfigError(
            f"encoder.backbone: {name} gives features of shape {tuple(features.shape)} for two images; must "
            f"be (2, {built.num_features}), its num_features. Choose another model in "
            "conf/params/encoder/<name>.yaml."
        )


def check_local_crops_of_arms(parameters: dict[str, Any]) -> None:
    """Raises ConfigError for an arm whose method or encoder does not take the local crops asked for."""
    import torch

    from pipelines.config.arm_plan import training_of
    from stablerep.models.encoders import build_encoder
    from stablerep.training.local_crops import check_local_crops

    for name, arm in parameters["arms"].items():
        local = training_of(name, arm, parameters["training"]).local_crops
        if local.per_image:
            with torch.device("meta"):
                encoder = build_encoder(parameters["encoder"]["backbone"])
            method = build_method(arm["method"], parameters["method"][arm["method"]])
            check_local_crops(name, method, encoder, local)


def check_image_sets(corpus: "Corpus", parameters: dict[str, Any]) -> None:
    """Raises ConfigError for an image set that the corpus cannot give."""
    for name, settings in parameters["image_sets"].items():
        if settings["source"] == "rendered" and not corpus.can_render:
            raise ConfigError(
                f"image_sets.{name}.source: rendered, but corpus {corpus.name!r} cannot render captions. "
                f"Choose source generated or corpus. Set it in {_ARMS}."
            )
    if not corpus.mirrorable:
        _check_no_flips(corpus, parameters)


def _check_no_flips(corpus: "Corpus", parameters: dict[str, Any]) -> None:
    training = parameters["training"]
    views = {"training.augmentation": training["augmentation"]}
    for method, own in training["augmentation_by_method"].items():
        views[f"training.augmentation_by_method.{method}"] = own
    for name, arm in parameters["arms"].items():
        views[f"arms.{name}.training.augmentation"] = arm["training"].get("augmentation", {})
    for key, augmentation in views.items():
        flips = augmentation.get("flip_probability", 0)
        if flips > 0:
            raise ConfigError(
                f"{key}.flip_probability: got {flips:g}; must be 0 for corpus {corpus.name!r}, "
                "whose mirrored images do not show the same. Set it to 0, or choose another corpus."
            )


def check_arms(corpus: "Corpus", parameters: dict[str, Any]) -> None:
    """Raises ConfigError for an arm that cannot be trained on its image set, with the reason."""
    for name, arm in parameters["arms"].items():
        method = build_method(arm["method"], parameters["method"][arm["method"]])
        own = corpus_of_set(arm["images"], parameters, corpus)
        reason = _why_not(method, arm["images"], own, parameters) or _too_many_classes(name, own, parameters)
        if reason:
            raise ConfigError(
                f"arms.{name}: method {arm['method']} cannot be trained on image set {arm['images']!r}: "
                f"{reason} Change arms.{name} in {_ARMS}."
            )


def _why_not(method: Any, images: str, corpus: "Corpus", parameters: dict[str, Any]) -> str | None:
    settings = parameters["image_sets"][images]
    source = settings["source"]
    if lacks_captions(method, images, parameters["image_sets"], corpus):
        return f"it needs captions, and corpus {corpus.name!r} has none."
    if getattr(method, "uses_labels", False) and not corpus.tasks():
        return f"it needs labels, and corpus {corpus.name!r} has none."
    wanted = getattr(method, "images_per_caption", 1)
    default = parameters["generator"]["images_per_caption"] if source == "generated" else 1
    there = settings.get("images_per_caption") or default
    if source in ("generated", "rendered") and wanted > there:
        return f"it draws {wanted} images of each caption, and the set has {there}."
    return None


def _too_many_classes(name: str, corpus: "Corpus", parameters: dict[str, Any]) -> str | None:
    """Says why a `supervised` arm cannot be trained if its head has too few dimensions for the classes."""
    from pipelines.config.arm_plan import head_of
    from stablerep.methods.supervised import Supervised

    arm = parameters["arms"][name]
    method = build_method(arm["method"], parameters["method"][arm["method"]])
    if not isinstance(method, Supervised):
        return None
    num_dims = head_of(name, arm, parameters["encoder"]).out_dim
    num_classes = len(next(iter(corpus.tasks().values())).classes)
    if num_classes <= num_dims:
        return None
    return (
        f"it needs a dimension for each of the {num_classes} classes, and its head has {num_dims}. Set "
        f"arms.{name}.head.out_dim to {num_classes} or more."
    )


def _check_drawing_and_scoring(
    catalog: "DataCatalog", parameters: dict[str, Any], nodes: set[str], taken: set[str]
) -> None:
    if not nodes.isdisjoint(DRAWING):
        build_executor(parameters["executor"])
        _check_models(catalog, parameters, nodes)
    if "scorer_folder" in taken:
        _check_scorer(catalog, parameters)


def _check_models(catalog: "DataCatalog", parameters: dict[str, Any], nodes: set[str]) -> None:
    from pipelines.config.generator import generator_of, model_folder
    from stablerep.generation.diffusion.identity import check_model_folder
    from stablerep.generation.diffusion.settings import GeneratorSettings
    from stablerep.storage.digests import warn_without_digests

    base = parameters["generator"]
    sections = [
        generator_of(name, base, settings)
        for name, settings in parameters["image_sets"].items()
        if settings["source"] == "generated" and "generate_images" in nodes
    ]
    for generator in sections or [GeneratorSettings.read(base)]:
        folder = model_folder(generator, catalog.load("generator_folder"))
        check_model_folder(folder, generator)
        if generator.model_folder is None:
            warn_without_digests(folder)


def _check_scorer(catalog: "DataCatalog", parameters: dict[str, Any]) -> None:
    """Loads the scorer: one that is damaged would be noticed after all images were drawn."""
    from pipelines.config.chosen_scorer import find_scorer
    from stablerep.alignment.settings import AlignmentSettings

    scorer = find_scorer(AlignmentSettings.read(parameters["alignment"]), catalog.load("scorer_folder"))
    if scorer is not None:
        scorer.check()


def _check_captions(corpus: "Corpus", parameters: dict[str, Any]) -> None:
    """Compares a batch with the most that curation can keep; the validation room knows how many it kept."""
    from pipelines.config.batches import check_batches
    from stablerep.curation.settings import Reading

    curation, training = parameters["curation"], parameters["training"]
    limit = curation["max_captions"]
    batch = training["batch"]
    # a batch of one view per caption is the most that can be asked for: millions need not be read to know it
    enough = batch["captions"] * batch["images_per_caption"] * 2
    reading = Reading.read(curation["reading"])
    most = corpus.count_captions(reading, enough)
    check_batches(
        most if limit is None else min(most, limit),
        *(parameters[key] for key in ("image_sets", "arms", "method", "training", "corpus")),
    )
