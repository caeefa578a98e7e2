"""How a metric is shown: as a share in percent or as a number, and whether higher is better.

A metric that is not named here is a share for which higher is better, such as an accuracy.
"""

import math
import re

# words of a metric's name
_DISTANCES = frozenset({"distance", "frechet", "kernel", "cmmd", "fid", "kid", "mmd"})
_LOSSES = frozenset({"nll", "loss", "perplexity", "rank"})
_NUMBERS = _DISTANCES | _LOSSES | {"alignment", "density", "entropy", "similarity", "vendi"}
_LOWER = _DISTANCES | _LOSSES | {"error", "errors", "brier", "copies", "duplicates", "overlap"}


def _words(metric: str) -> list[str]:
    return re.split(r"[._]", metric)


def is_share(metric: str) -> bool:
    """Whether values lie in [0, 1] and are shown in percent."""
    return _NUMBERS.isdisjoint(_words(metric))


def lower_is_better(metric: str) -> bool:
    """Whether lower is better, as for an error."""
    return not _LOWER.isdisjoint(_words(metric))


def shown(value: float | None, metric: str, signed: bool = False) -> str:
    """Returns a value as the page shows it, in percent (without the sign) or to three significant figures."""
    if value is None or math.isnan(value):
        return "\N{EN DASH}"
    sign = "+" if signed else ""
    text = f"{100 * value:{sign}.1f}" if is_share(metric) else f"{value:{sign}.3g}"
    return text.replace("-", "\N{MINUS SIGN}")


def unit_of(metric: str) -> str:
    """Returns ` in %` for a share, nothing for a number."""
    return " in %" if is_share(metric) else ""
