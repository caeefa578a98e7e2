"""Alignment: the mean cosine of images and their captions, by the scorer of the section `alignment`."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from stablerep.evaluation.features import read_ahead
from stablerep.image_set_metrics.metric import Comparison, Measured, SetMetric
from stablerep.image_set_metrics.sample import Sample

logger = logging.getLogger(__name__)

_BATCH_SIZE = 256


class Alignment(SetMetric):
    """The scorer's mean cosine; images without captions have none."""

    name = "alignment"
    version = 1

    def measure(self, comparison: Comparison, prepared: Any) -> Iterator[Measured]:
        """Yields `alignment`; a generated set's own scores are used, the others are computed."""
        scorer, sample = comparison.context.scorer, comparison.sample
        if scorer is None:
            logger.info("%s: no alignment, as alignment.scorer is null", sample.name)
            return
        values = sample.table["alignment"].to_numpy(dtype=np.float64, copy=True)
        missing = np.flatnonzero(np.isnan(values) & (sample.table["text"] != "").to_numpy())
        if len(missing):
            values[missing] = _scores(scorer, sample, missing)
        yield from comparison.means("alignment", values, scorer.scorer_id)


def _scores(scorer: Any, sample: Sample, rows: np.ndarray) -> np.ndarray:
    found, start = [], 0
    for images in read_ahead(sample.pixels, rows, _BATCH_SIZE):
        texts = [sample.texts[row] for row in rows[start : start + len(images)]]
        start += len(images)
        if len({image.shape for image in images}) == 1:
            found.append(scorer.score(torch.stack(images), texts))
        else:
            found += [scorer.score(image[None], [text]) for image, text in zip(images, texts, strict=True)]
    return torch.cat(found).double().numpy()
