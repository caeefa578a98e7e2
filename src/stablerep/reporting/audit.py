"""The report's section on bias: what captions asked for, what the generator drew, and the gap."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stablerep.curation.audit import SKEWED
from stablerep.reporting.axes import plain

_ASKED, _DRAWN, _INK = "#9aa4af", "#2a6fb0", "#20262e"
_NUM_PAIRS = 20  # rows of the table


def draw_gaps(terms: pd.DataFrame) -> Figure:
    """Draws each term's share in captions and in images, one panel a group.

    Args:
        terms: as `stablerep.alignment.audit.audit_terms` gives them.
    """
    groups = list(dict.fromkeys(terms["group"]))
    most = int(terms.groupby("group").size().max())
    figure = Figure(figsize=(9.6, 1.0 + 0.3 * most), layout="constrained")
    panels = figure.subplots(1, len(groups), squeeze=False)[0]
    for axes, group in zip(panels, groups, strict=True):
        rows = terms[terms["group"] == group][::-1]
        places = np.arange(len(rows))
        axes.hlines(places, 100 * rows["low"], 100 * rows["high"], color=_DRAWN, linewidth=1.6)
        axes.plot(100 * rows["drawn"], places, "o", color=_DRAWN, markersize=5, label="drawn")
        axes.plot(100 * rows["asked"], places, "|", color=_INK, markersize=11, label="asked for")
        axes.set_yticks(places, rows["term"])
        axes.set_xlim(left=0)
        axes.set_title(f"{group}, % of images", fontsize=10, loc="left", color=_INK)
        axes.tick_params(labelsize=8.5)
        plain(axes, "x")
    panels[-1].legend(frameon=False, fontsize=8.5)
    return figure


def skewed_pairs(pairs: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns pairs that are skewed in captions or in images, the widest gap of PMI first."""
    skewed = pairs[(pairs["verdict"] == SKEWED) | (pairs["verdict_drawn"] == SKEWED)]
    gap = (skewed["pmi_drawn"] - skewed["pmi"]).abs()
    ordered = skewed.loc[gap.sort_values(ascending=False, kind="stable").index].head(_NUM_PAIRS)
    return [{str(name): value for name, value in row.items()} for row in ordered.to_dict("records")]
