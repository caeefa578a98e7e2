"""The report's section on bias: what captions asked for, what the generator drew, and the gap."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stablerep.curation.audit import SKEWED
from stablerep.reporting.axes import TEXT, light, plain

_DRAWN = light("generated")
_NUM_PAIRS = 20  # rows of the table


def draw_gaps(terms: pd.DataFrame) -> dict[str, Figure]:
    """Draws each term's share in captions and in images, one figure for each group.

    Args:
        terms: as `stablerep.alignment.audit.audit_terms` gives them.
    """
    figures = {}
    for group in dict.fromkeys(terms["group"]):
        rows = terms[terms["group"] == group][::-1]
        figure = Figure(figsize=(4.6, 1.15 + 0.28 * len(rows)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(rows))
        axes.hlines(places, 100 * rows["low"], 100 * rows["high"], color=_DRAWN, linewidth=1.6)
        axes.plot(100 * rows["drawn"], places, "o", color=_DRAWN, markersize=5, label="drawn")
        axes.plot(100 * rows["asked"], places, "|", color=TEXT, markersize=11, label="asked for")
        axes.set_yticks(places, rows["term"])
        axes.set_xlim(left=0)
        axes.set_title(f"{group}, % of images", fontsize=10, loc="left", color=TEXT)
        plain(axes, "x")
        axes.tick_params(labelsize=8.5)
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8.5, labelcolor=TEXT)
        figures[str(group)] = figure
    return figures


def skewed_pairs(pairs: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns pairs that are skewed in captions or in images, the widest gap of PMI first."""
    skewed = pairs[(pairs["verdict"] == SKEWED) | (pairs["verdict_drawn"] == SKEWED)]
    gap = (skewed["pmi_drawn"] - skewed["pmi"]).abs()
    ordered = skewed.loc[gap.sort_values(ascending=False, kind="stable").index].head(_NUM_PAIRS)
    return [{str(name): value for name, value in row.items()} for row in ordered.to_dict("records")]
