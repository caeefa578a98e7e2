r"""Diversity: the Vendi score of all images, and of the images of each caption (arXiv:2210.02410).

    VS = exp( - sum_i l_i log l_i ),    l_i the eigenvalues of K / n, K the cosines of features,

the effective number of different images: k for k equal clusters that are orthogonal, 1 for copies. It grows
with n, so compare sets of equal numbers. The package vendi-score, of 2022, calls what SciPy removes.
Legend: N images, F features.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from stablerep.image_set_metrics.metric import Comparison, Measured, SetMetric


class Diversity(SetMetric):
    """The Vendi score of the set and, if captions have several images, the mean over captions."""

    name = "diversity"
    version = 1

    def measure(self, comparison: Comparison, prepared: Any) -> Iterator[Measured]:
        """Yields `vendi` and `vendi_in_caption`; the latter's number is that of captions."""
        context, sample = comparison.context, comparison.sample
        features = context.features(sample)
        for group in comparison.groups:
            value = vendi_score(features[group.rows])
            yield Measured("vendi", group.name, value, len(group.rows), 0, context.extractor.name)
        of_captions = np.full(len(sample), np.nan)
        for rows in sample.table.groupby("caption_id", sort=False).indices.values():
            if len(rows) > 1:
                of_captions[rows[0]] = vendi_score(features[rows])
        yield from comparison.means("vendi_in_caption", of_captions, context.extractor.name)


def vendi_score(features_NF: np.ndarray) -> float:
    """Returns the Vendi score, from 1 to N, of features of any length but 0.

    The eigenvalues of the N x N cosines are those of an F x F matrix and zeros; the smaller one is taken.
    """
    values = np.asarray(features_NF, dtype=np.float64)
    unit = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), np.finfo(float).tiny)
    gram = unit @ unit.T if len(unit) <= unit.shape[1] else unit.T @ unit
    eigenvalues = np.linalg.eigvalsh(gram / len(unit))
    positive = eigenvalues[eigenvalues > 0]
    return float(np.exp(-(positive * np.log(positive)).sum()))
