"""Measures image sets with every metric: a table of values, and a table of pairs of similar images."""

import io
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from stablerep.curation.audit import Audit
from stablerep.errors import ConfigError
from stablerep.image_set_metrics.groups import groups_of
from stablerep.image_set_metrics.metric import Comparison, Context, Measured, Pair, SetMetric
from stablerep.image_set_metrics.sample import Sample

logger = logging.getLogger(__name__)

VALUE_TYPES = {
    "image_set": "str",
    "metric": "str",
    "group": "str",
    "value": "float64",
    "num_images": "int64",
    "reference": "str",
    "reference_digest": "str",
    "num_reference": "int64",
    "extractor": "str",
    "version": "int64",
}
PAIR_TYPES = {
    "image_set": "str",
    "kind": "str",
    "image_id": "str",
    "other_set": "str",
    "other_id": "str",
    "similarity": "float64",
    "extractor": "str",
    "picture": "object",
    "other_picture": "object",
}
_MAX_PICTURE_PX = 128  # longer side of a picture in the table


@dataclass(frozen=True, eq=False)
class Measurements:
    """What was measured.

    Attributes:
        values: one row per image set, metric and group, with `VALUE_TYPES`; the reference has rows too,
            for the metrics that it has values of.
        pairs: images that are near each other, with `PAIR_TYPES`; pictures as PNG files.
    """

    values: pd.DataFrame
    pairs: pd.DataFrame


def measure_image_sets(
    samples: Sequence[Sample],
    context: Context,
    metrics: Sequence[SetMetric],
    audit: Audit | None,
    min_images: int,
) -> Measurements:
    """Measures every set, and the reference.

    Args:
        samples: of the image sets.
        context: of the run.
        metrics: that each set is measured by.
        audit: whose terms make groups; None for no such groups.
        min_images: of a group, in the set and in the reference.

    Raises:
        ConfigError: two metrics have one name.
    """
    names = [metric.name for metric in metrics]
    if len(set(names)) < len(names):
        raise ConfigError(f"set_metrics: got {', '.join(names)}; each name must be there once.")
    reference, tasks = context.reference, context.labelled.tasks
    comparisons = {
        sample.name: Comparison(
            context, sample, groups_of(sample, reference, tasks, audit, min_images), min_images
        )
        for sample in (*samples, reference)
    }
    rows = []
    for metric in metrics:
        started = time.monotonic()
        prepared = metric.prepare(context)
        for name, comparison in comparisons.items():
            if comparison.is_reference and not metric.of_reference:
                continue
            found = list(metric.measure(comparison, prepared))
            rows += [_row(name, each, metric.version, reference) for each in found]
        logger.info("%s of %d image sets in %.1f s", metric.name, len(samples), time.monotonic() - started)
    pairs = [_pair_row(name, pair) for name, each in comparisons.items() for pair in each.pairs]
    return Measurements(_table(rows, VALUE_TYPES), _table(pairs, PAIR_TYPES))


def _row(image_set: str, measured: Measured, version: int, reference: Sample) -> dict[str, object]:
    return {
        "image_set": image_set,
        "metric": measured.metric,
        "group": measured.group,
        "value": measured.value,
        "num_images": measured.num_images,
        "reference": reference.name,
        "reference_digest": reference.digest,
        "num_reference": measured.num_reference,
        "extractor": measured.extractor,
        "version": version,
    }


def _pair_row(image_set: str, pair: Pair) -> dict[str, object]:
    picture, other = (_png(each) for each in pair.pictures)
    return {
        "image_set": image_set,
        "kind": pair.kind,
        "image_id": pair.image_id,
        "other_set": pair.other_set,
        "other_id": pair.other_id,
        "similarity": pair.similarity,
        "extractor": pair.extractor,
        "picture": picture,
        "other_picture": other,
    }


def _table(rows: list[dict[str, object]], types: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def _png(image: Tensor) -> bytes:
    longest = max(image.shape[1:])
    if longest > _MAX_PICTURE_PX:
        height, width = (max(1, round(side * _MAX_PICTURE_PX / longest)) for side in image.shape[1:])
        image = F.interpolate(image[None].float(), (height, width), mode="bilinear", antialias=True)[0]
        image = image.round().clamp(0, 255).to(torch.uint8)
    file = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(file, "PNG")
    return file.getvalue()
