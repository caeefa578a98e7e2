"""Adapters of the curation room."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def curate_captions(
    captions: "pd.DataFrame", takedowns: "pd.DataFrame", settings: dict[str, Any]
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Runs the configured filters without what was taken down, then cuts to max_captions.

    Takedowns stand behind the last rewriter, where ids are final, and so before filters such as the one for
    duplicates: an equal caption of another source stays.

    Returns:
        The kept and the rejected captions.
    """
    from stablerep.curation import run_filters
    from stablerep.curation.filters import CaptionRewriter
    from stablerep.curation.limit import Limit
    from stablerep.curation.takedowns import TakenDown

    filters = [_build(f"captions.filters[{index}]", entry) for index, entry in enumerate(settings["filters"])]
    rewriters = [place for place, step in enumerate(filters, 1) if isinstance(step, CaptionRewriter)]
    filters.insert(max(rewriters, default=0), TakenDown(takedowns))
    if settings["max_captions"] is not None:
        filters.append(Limit(settings["max_captions"]))
    return run_filters(captions, filters)


def _build(key: str, entry: dict[str, Any]) -> Any:
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    from stablerep.errors import ConfigError, StableRepError

    try:
        return instantiate(entry)
    except InstantiationException as error:
        if isinstance(error.__cause__, StableRepError):
            raise error.__cause__ from error
        reason = " ".join(str(error.__cause__ or error).split())
        raise ConfigError(
            f"{key}: got {entry!r}; {reason}. Set it in conf/params/curation/<name>.yaml."
        ) from error
