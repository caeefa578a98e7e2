"""The image-text model that the configuration names; apart from the rooms that need it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.generator import named_folder

if TYPE_CHECKING:
    from stablerep.alignment.scorer import Scorer


def find_scorer(scoring: dict[str, Any], scorer_folder: Path | None) -> "Scorer | None":
    """Makes the chosen scorer, its model not yet loaded; None where images are not scored.

    Args:
        scoring: `scorer.folder` is relative to the project, absolute, or null.
        scorer_folder: the embedded scorer's, from the catalog.
    """
    from hydra.utils import get_class

    from stablerep.errors import ConfigError

    if scoring["scorer"] is None:
        return None
    options = dict(scoring["scorer"])
    target, named = options.pop("_target_"), options.pop("folder", None)
    # not hydra's instantiate: it wraps what the class has to say
    try:
        return get_class(target)(named_folder(named, scorer_folder), **options)
    except TypeError as error:
        raise ConfigError(
            f"scoring.scorer: {target} does not take {', '.join(options)} ({error}). Set it in "
            "conf/params/alignment/<name>.yaml."
        ) from error
