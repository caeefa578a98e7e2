"""Adapters of the curation room."""

from typing import TYPE_CHECKING, Any

from pipelines.instantiation import build

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

    where = "conf/params/curation/<name>.yaml"
    entries = enumerate(settings["filters"])
    filters = [build(f"captions.filters[{index}]", entry, where) for index, entry in entries]
    rewriters = [place for place, step in enumerate(filters, 1) if isinstance(step, CaptionRewriter)]
    filters.insert(max(rewriters, default=0), TakenDown(takedowns))
    if settings["max_captions"] is not None:
        filters.append(Limit(settings["max_captions"]))
    return run_filters(captions, filters)
