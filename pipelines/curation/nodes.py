"""Adapters of the curation room."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def curate_captions(
    captions: "pd.DataFrame", settings: dict[str, Any]
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Runs the configured filters, then cuts to max_captions; returns the kept and the rejected."""
    from stablerep.curation import run_filters
    from stablerep.curation.limit import Limit

    filters = [_build(f"captions.filters[{index}]", entry) for index, entry in enumerate(settings["filters"])]
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
