"""The image-text model that the configuration names; apart from the rooms that need it."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.config.generator import named_folder
from stablerep.alignment.settings import AlignmentSettings

if TYPE_CHECKING:
    from stablerep.alignment.scorer import Scorer


def find_scorer(alignment: AlignmentSettings, scorer_folder: Path | None) -> "Scorer | None":
    """Makes the chosen scorer, its model not yet loaded; None where images are not scored.

    Args:
        alignment: `scorer.folder` is relative to the project, absolute, or null.
        scorer_folder: the embedded scorer's, from the catalog.
    """
    from hydra.utils import get_class

    from stablerep.errors import ConfigError

    if alignment.scorer is None:
        return None
    options = dict(alignment.scorer)
    target, named = options.pop("_target_"), options.pop("folder", None)
    # not hydra's instantiate: it wraps what the class has to say
    try:
        return get_class(target)(named_folder(named, scorer_folder), **options)
    except TypeError as error:
        raise ConfigError(
            f"alignment.scorer: {target} does not take {', '.join(options)} ({error}). Set it in "
            "conf/params/alignment/<name>.yaml."
        ) from error
