"""What is looked at before the first node of a run: faults that would else be noticed after work was done.

A fault found here leaves everything under data/ as it was, and starts no run in MLflow.
"""

from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

from pipelines.config.build import build_method
from pipelines.run.arms import is_encoder
from stablerep.errors import ConfigError

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline

# The nodes that draw images with the model.
DRAWING = {"generate_images", "tune_guidance"}


class PreflightHooks:
    """Checks before a run what its nodes would stumble over."""

    def __init__(self) -> None:
        """Holds nothing until a context is there."""
        self._parameters: dict[str, Any] = {}

    @hook_impl
    def after_context_created(self, context: "KedroContext") -> None:
        """Keeps the parameters."""
        self._parameters = context.config_loader["parameters"]

    # first of all: tracking must not start a run that ends here
    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: "Pipeline", catalog: "DataCatalog") -> None:
        """Raises a StableRepError for a run that cannot come to its end."""
        check_before_run(pipeline, catalog, self._parameters)


def check_before_run(pipeline: "Pipeline", catalog: "DataCatalog", parameters: dict[str, Any]) -> None:
    """Checks what the nodes of a run are given.

    Args:
        pipeline: the nodes that are to run.
        catalog: where their inputs lie.
        parameters: as composed.

    Raises:
        ConfigError: a method or the encoder refuses its settings.
        GeneratorError: images are to be drawn, and the model is missing or incomplete.
        DataError: arms are to be trained on captions that are too few.
    """
    nodes = {node.name for node in pipeline.nodes}
    taken = pipeline.inputs()
    if "params:methods" in taken:
        for name, entry in parameters["methods"].items():
            build_method(name, entry)
    if "params:model" in taken:
        _check_encoder(parameters["model"]["encoder"])
    if not nodes.isdisjoint(DRAWING):
        _check_model(catalog, parameters["generation"])
    if any(map(is_encoder, pipeline.all_outputs())) and "captions" in taken:
        _check_captions(catalog, parameters)


def _check_encoder(encoder: dict[str, Any]) -> None:
    import torch

    from stablerep.models.encoders import build_encoder

    # shapes alone: no memory is taken and no weight is drawn
    with torch.device("meta"), torch.no_grad():
        built = build_encoder(encoder)
        try:
            built(torch.zeros(2, 3, built.size_px, built.size_px))
        except (RuntimeError, AssertionError, ValueError) as error:
            raise ConfigError(
                f"model.encoder: {encoder.get('name', encoder['_target_'])} takes no images of "
                f"{built.size_px} px ({error}); must be one that does. "
                "Set model.encoder in conf/params/encoder/<name>.yaml."
            ) from error


def _check_model(catalog: "DataCatalog", generation: dict[str, Any]) -> None:
    from pipelines.config.model_folder import model_folder
    from pipelines.generation.nodes import generation_settings
    from stablerep.generation.diffusion.identity import check_model_folder
    from stablerep.generation.diffusion.settings import GeneratorSettings

    folder = model_folder(GeneratorSettings.read(generation), catalog.load("generator_folder"))
    check_model_folder(folder, generation_settings(generation))


def _check_captions(catalog: "DataCatalog", parameters: dict[str, Any]) -> None:
    """Compares a batch with the most that curation can keep; the validation room knows how many it kept."""
    from pipelines.validation.nodes import check_batch
    from stablerep.curation.settings import Reading
    from stablerep.methods.batch import BatchSettings

    limit = parameters["captions"]["max_captions"]
    batch = parameters["batch"]
    reading = Reading.read(parameters["curation"]["reading"])
    # a batch of one view a caption is the most that can be asked for: nobody reads millions to know it
    most = catalog.load("captions").count(reading, enough=BatchSettings(**batch).num_views)
    at_most = most if limit is None else min(most, limit)
    check_batch(at_most, batch, parameters["arms"], parameters["methods"])
