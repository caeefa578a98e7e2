"""The page on curation: what was read, what each filter rejected, balance of concepts, audit for bias."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
from matplotlib.figure import Figure

from stablerep.curation.audit import SKEWED, TOO_FEW, Audit
from stablerep.curation.curate import Curation
from stablerep.reporting.axes import TEXT, css_variables, light, plain
from stablerep.reporting.inline import svg_address
from stablerep.reporting.pages import bare_environment

_BEFORE, _AFTER, _BAD = light("before"), light("generated"), light("bad")
_NUM_CONCEPTS = 20  # rows of the table of head concepts
_NUM_PAIRS = 40  # rows of the figure of pairs
_MAX_TEXT = 160  # characters of an example


@dataclass(frozen=True)
class PairRow:
    """A pair of terms before and after curation.

    Attributes:
        name: both terms with their groups.
        before: a row of `Audit.verdicts`.
        after: likewise.
    """

    name: str
    before: pd.Series
    after: pd.Series


def _bits(value: float) -> str:
    """Returns a number of bits as the page shows it; a missing end of an interval is a dash."""
    return "\N{EN DASH}" if math.isnan(value) else f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def build_curation_page(curation: Curation, audit: Audit) -> str:
    """Returns the page as HTML; it refers to no other file and no network."""
    pairs = _pairs(curation, audit)
    judged = [pair for pair in pairs if TOO_FEW not in (pair.before["verdict"], pair.after["verdict"])]
    judged.sort(key=lambda pair: -abs(pair.before["pmi"]))
    terms = None
    if curation.before is not None and curation.after is not None and audit.terms:
        one, two = audit.shares(curation.before), audit.shares(curation.after)
        terms = one.merge(two, on=["group", "term"], suffixes=("_before", "_after")).to_dict("records")
    environment = bare_environment()
    environment.filters.update(
        words=lambda name: str(name).replace("_", " "),
        number=lambda value: f"{value:,}",
        brief=lambda text: text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}\N{HORIZONTAL ELLIPSIS}",
        score=lambda value: "\N{EN DASH}" if value is None else f"{value:.4g}",
        pmi=lambda row: f"{_bits(row['pmi'])} ({_bits(row['low'])} to {_bits(row['high'])})",
    )
    balance = curation.balance if curation.balance is not None and len(curation.balance) else None
    return environment.get_template("curation.html.j2").render(
        colours=css_variables(),
        curation=curation,
        funnel=svg_address(draw_funnel(curation)),
        tail=svg_address(draw_tail(balance, curation.balance_bound)) if balance is not None else None,
        head=balance.head(_NUM_CONCEPTS).to_dicts() if balance is not None else [],
        num_head=int((balance["before"] > curation.balance_bound).sum()) if balance is not None else 0,
        pairs=pairs,
        num_judged=len(judged),
        num_skewed=sum(pair.after["verdict"] == SKEWED for pair in judged),
        skew=svg_address(draw_pairs(judged[:_NUM_PAIRS], audit.settings.max_pmi)) if judged else None,
        max_pmi=audit.settings.max_pmi,
        terms=terms,
    )


def _pairs(curation: Curation, audit: Audit) -> list[PairRow]:
    if curation.before is None or curation.after is None:
        return []
    rows = []
    both = (audit.verdicts(counts).iterrows() for counts in (curation.before, curation.after))
    for (_, before), (_, after) in zip(*both, strict=True):
        rows.append(PairRow(f"{before['term_a']} · {before['term_b']}", before, after))
    return rows


def draw_funnel(curation: Curation) -> Figure:
    """Draws what each filter kept and rejected."""
    steps = [step for step in curation.steps if step.num_in]
    names = [step.filter.replace("_", " ") for step in steps][::-1]
    taken = np.array([step.reasons.total() for step in steps][::-1])
    left = np.array([step.num_in for step in steps][::-1]) - taken
    figure = Figure(figsize=(9.6, 0.7 + 0.28 * len(steps)), layout="constrained")
    axes = figure.subplots()
    axes.barh(names, left, color=_AFTER, label="kept")
    axes.barh(names, taken, left=left, color=_BAD, label="rejected")
    for place, number in enumerate(taken):
        if number:
            axes.annotate(
                f" \u2212{number:,}", (left[place] + number, place), va="center", fontsize=8, color=_BAD
            )
    axes.set_xlabel("captions", fontsize=8.5)
    axes.tick_params(labelsize=8.5)
    axes.margins(x=0.1)
    plain(axes, "x")
    return figure


def draw_tail(balance: pl.DataFrame | None, bound: float | None) -> Figure:
    """Draws captions by concept, the most frequent first, on logarithmic axes: the long tail."""
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    axes = figure.subplots()
    if balance is not None:
        ranks = np.arange(1, len(balance) + 1)
        after = balance["after"].to_numpy()
        axes.loglog(ranks, balance["before"].to_numpy(), color=_BEFORE, linewidth=2.4, label="before")
        axes.loglog(ranks[after > 0], after[after > 0], ".", color=_AFTER, markersize=3.5, label="after")
    if bound is not None:
        axes.axhline(bound, color=TEXT, linewidth=0.9, linestyle=(0, (3, 3)))
        axes.annotate(
            f"bound t = {bound:,g}",
            (0.995, bound),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=8.5,
            color=TEXT,
        )
    axes.set_xlabel("concepts, by how many captions name them", fontsize=8.5)
    axes.set_ylabel("captions", fontsize=8.5)
    axes.tick_params(labelsize=8)
    plain(axes, "y")
    axes.legend(frameon=False, fontsize=8.5, labelcolor=TEXT)
    return figure


def draw_pairs(pairs: list[PairRow], max_pmi: float) -> Figure:
    """Draws each pair's PMI with its interval, before and after, and the bound."""
    figure = Figure(figsize=(9.6, 0.9 + 0.24 * len(pairs)), layout="constrained")
    axes = figure.subplots()
    for place, pair in enumerate(pairs[::-1]):
        for row, colour, shift in ((pair.before, _BEFORE, 0.13), (pair.after, _AFTER, -0.13)):
            axes.plot([row["low"], row["high"]], [place + shift] * 2, color=colour, linewidth=1.6)
            axes.plot([row["pmi"]], [place + shift], "o", color=colour, markersize=4)
    axes.axvspan(-max_pmi, max_pmi, color=light("within"), zorder=0)
    axes.axvline(0, color=TEXT, linewidth=0.8)
    axes.set_yticks(range(len(pairs)), [pair.name for pair in pairs[::-1]])
    axes.set_xlabel(
        "pointwise mutual information, bits (grey before, blue after; green: within the bound)", fontsize=8.5
    )
    axes.tick_params(labelsize=8)
    plain(axes, "x")
    return figure
