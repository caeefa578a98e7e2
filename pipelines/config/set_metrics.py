"""Image-set metrics and the feature extractor, built from the configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.build import build_all
from pipelines.config.generator import named_folder

if TYPE_CHECKING:
    from stablerep.image_set_metrics.extractors import FeatureExtractor
    from stablerep.image_set_metrics.metric import SetMetric

_EXTRACTOR = "conf/params/extractor/<name>.yaml"
_FILES = ("folder", "weights")  # keys of an extractor that are relative to the project


def build_set_metrics(set_metrics: Mapping[str, dict[str, Any]]) -> "list[SetMetric]":
    """Returns the metrics of the experiment; see `build_all`."""
    from stablerep.image_set_metrics.metric import SetMetric

    return build_all("set_metrics", set_metrics, SetMetric, "a metric")


def build_extractor(extractor: Mapping[str, Any], scorer_folder: Path) -> "FeatureExtractor":
    """Returns the feature extractor, its model not yet loaded.

    Args:
        extractor: the section; `folder` and `weights` are relative to the project or absolute, and a
            `folder` that is null is the embedded scorer's.
        scorer_folder: the embedded scorer's, from the catalog.

    Raises:
        ConfigError: there is no such class, or it does not take its arguments.
        DataError: the model is missing or incomplete.
    """
    from pipelines.config.arguments import check_arguments, class_named, must_be_a
    from stablerep.image_set_metrics.extractors import FeatureExtractor

    options = dict(extractor)
    for key in _FILES:
        if key == "folder" and key in options:
            options[key] = str(named_folder(options[key], scorer_folder))
        elif options.get(key):
            options[key] = str(named_folder(str(options[key]), scorer_folder))
    check_arguments("extractor", options, _EXTRACTOR)
    target = options.pop("_target_")
    # not hydra's instantiate: it would build the backbone, whose weights are the extractor's affair
    made = class_named("extractor._target_", target, _EXTRACTOR)(**options)
    found: FeatureExtractor = must_be_a(FeatureExtractor, made, "extractor", target, _EXTRACTOR)
    return found
