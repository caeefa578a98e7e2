"""The audit for bias on generated images: what captions asked for, what the generator drew, the gap.

An image-text model reads each group's term off each image: the term whose prompt has the highest cosine. As
the model may mistake terms, the share of images that show what their caption names stands beside every
figure. Source of reading attributes so: A. Radford et al., arXiv:2103.00020, section 3.1 (zero-shot
classification).
Legend: N images, T terms.
"""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import torch
from torch import Tensor

from stablerep.alignment.scorer import Scorer
from stablerep.curation.audit import PAIR_COLUMNS, PAIR_TYPES, Audit
from stablerep.seeding import seed_of

TERM_TYPES = {
    "group": "str",
    "term": "str",
    "num_asked": "int64",
    "asked": "float64",
    "num_drawn": "int64",
    "drawn": "float64",
    "low": "float64",
    "high": "float64",
    "gap": "float64",
    "matched": "float64",
}


def read_terms(images: Tensor, audit: Audit, scorer: Scorer) -> npt.NDArray[np.bool_]:
    """Reads one term of each group off each image.

    Args:
        images: (N, 3, H, W) uint8.
        audit: its groups, and their prompts.
        scorer: whose cosines decide.

    Returns:
        (N, T), of each group one.
    """
    table = np.zeros((len(images), len(audit.terms)), dtype=bool)
    for group in audit.settings.groups:
        places = [place for place, (name, _) in enumerate(audit.terms) if name == group]
        prompt = audit.settings.prompts[group]
        prompts = [prompt.replace("{}", audit.terms[place][1]) for place in places]
        cosines = torch.stack([scorer.score(images, [text] * len(images)) for text in prompts], dim=1)
        chosen = cosines.argmax(dim=1).numpy()
        table[np.arange(len(images)), np.array(places)[chosen]] = True
    return table


def audit_terms(texts: list[str], shown: npt.NDArray[np.bool_], audit: Audit) -> pd.DataFrame:
    """Compares what captions asked for with what images show.

    Args:
        texts: N, the caption of each image.
        shown: (N, T), as `read_terms` gives it.
        audit: the groups.

    Returns:
        `TERM_TYPES`, a row a term: of the images whose caption names one term of the group, how many name
        this one and the share (asked); of the same images, how many show it and the share (drawn) with its 95
        % interval (Wilson's); drawn less asked; the share of those that ask for it and show it. Captions that
        leave a group open ask for nothing, and are left out.
    """
    asked = audit.holds(pl.DataFrame({"text": texts}, {"text": pl.String}))
    rows = []
    for group in audit.settings.groups:
        places = [place for place, (name, _) in enumerate(audit.terms) if name == group]
        one = asked[:, places].sum(axis=1) == 1
        for place in places:
            wanted, drawn, num = asked[one, place], shown[one, place], int(one.sum())
            low, high = wilson(int(drawn.sum()), num)
            shares = [float(each.mean()) if num else math.nan for each in (wanted, drawn)]
            matched = float(drawn[wanted].mean()) if wanted.any() else math.nan
            rows.append(
                (group, audit.terms[place][1], int(wanted.sum()), shares[0], int(drawn.sum()), shares[1])
                + (low, high, shares[1] - shares[0], matched)
            )
    return pd.DataFrame(rows, columns=list(TERM_TYPES)).astype(TERM_TYPES)


def audit_pairs(texts: list[str], shown: npt.NDArray[np.bool_], audit: Audit) -> pd.DataFrame:
    """Judges pairs of terms in the captions and in the images.

    Returns:
        The columns of `Audit.verdicts`, those of images with the suffix `_drawn`.
    """
    asked = audit.verdicts(audit.count(pl.DataFrame({"text": texts}, {"text": pl.String})))
    drawn = audit.verdicts(audit.count_held(shown))
    return asked.merge(drawn, on=list(PAIR_COLUMNS[:4]), suffixes=("", "_drawn"))


def pick(images: pd.DataFrame, num: int) -> pd.DataFrame:
    """Picks num images, at most, by a hash of caption and index: no order matters."""
    keys = [
        seed_of("audit", *key)
        for key in zip(images["caption_id"], images["image_index"].astype(int), strict=True)
    ]
    return images.iloc[np.sort(np.argsort(keys, kind="stable")[:num])].reset_index(drop=True)


def no_rows() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns the two tables of no images."""
    types = PAIR_TYPES | {f"{name}_drawn": PAIR_TYPES[name] for name in PAIR_COLUMNS[4:]}
    terms, pairs = (pd.DataFrame(columns=list(each)).astype(each) for each in (TERM_TYPES, types))
    return terms, pairs


def wilson(num_of: int, num: int) -> tuple[float, float]:
    """Returns the 95 % interval of a share (E. B. Wilson, 1927); (nan, nan) of nothing.

    It lies in [0, 1] and holds num_of / num, also by floating point: scipy sets the end at a share of 0 or 1
    to exactly that, where the formula misses it by rounding.

    Args:
        num_of: how many have the property, 0 to num.
        num: of how many.
    """
    from scipy.stats import binomtest

    if not num:
        return math.nan, math.nan
    interval = binomtest(num_of, num).proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)
