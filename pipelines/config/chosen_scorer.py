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
    from pipelines.config.arguments import check_arguments, class_named, must_be_a
    from stablerep.alignment.scorer import Scorer

    if alignment.scorer is None:
        return None
    where = "conf/params/alignment/<name>.yaml"
    options = dict(alignment.scorer)
    folder = named_folder(options.get("folder"), scorer_folder)
    check_arguments("alignment.scorer", options | {"folder": str(folder)}, where)
    target = options.pop("_target_")
    # not hydra's instantiate: it wraps what the class has to say
    made = class_named("alignment.scorer._target_", target, where)(**options | {"folder": folder})
    return must_be_a(Scorer, made, "alignment.scorer", target, where)
