"""Samples and contexts for tests: images whose features are given, without a model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stablerep.evaluation.feature_store import FeatureStore
from stablerep.evaluation.labelled_set import LabelledSet
from stablerep.image_set_metrics.features import FeatureBank
from stablerep.image_set_metrics.metric import ALL, Comparison, Context, Group, Measured, SetMetric
from stablerep.image_set_metrics.sample import Sample
from stablerep.storage.pixels import ImagesInMemory

TASKS = {"shape": ("round", "square")}
EMPTY = pd.DataFrame(
    {
        "key": ["a", "b", "c"],
        "split": ["train", "validation", "test"],
        "unit": ["a", "b", "c"],
        "digest": ["a", "b", "c"],
        "label.shape": [0, 1, 0],
    }
)


class Bank(FeatureBank):
    """Gives the features that it was given, by the names of samples; hashes are computed."""

    def __init__(self, folder: Path, features: Mapping[str, np.ndarray]) -> None:
        super().__init__(FeatureStore(folder))
        self.given = features

    def features(self, extractor: Any, sample: Sample) -> np.ndarray:
        if extractor.name == "given":
            return self.given[sample.name].astype(np.float32)
        return super().features(extractor, sample)


class Given:
    """The extractor of `Bank`."""

    name = extractor_id = "given"
    dtype = "float32"

    def check(self) -> None:
        pass

    def extract(self, images: Sequence[Tensor]) -> np.ndarray:
        raise NotImplementedError


def random_images(num: int, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(256, size=(num, 3, 8, 8), dtype=np.uint8))


def sample(
    name: str,
    num: int,
    *,
    images: Tensor | None = None,
    captions: Sequence[str] | None = None,
    texts: Sequence[str] | None = None,
    labels: Sequence[int] | None = None,
    generated: bool = False,
    alignment: Sequence[float] | float = np.nan,
) -> Sample:
    table = pd.DataFrame(
        {
            "image_id": [f"{name}-{row}" for row in range(num)],
            "caption_id": list(captions or map(str, range(num))),
            "text": list(texts or [""] * num),
            "digest": [f"{name}-{row}" for row in range(num)],
            "generated": generated,
            "alignment": alignment,
        }
    )
    pixels = random_images(num, sum(map(ord, name))) if images is None else images
    known = np.array(labels if labels is not None else [-1] * num, dtype=np.int64)
    return Sample(name, ImagesInMemory(pixels), table, {"shape": known}, frozenset(table["digest"]))


def context(folder: Path, features: Mapping[str, np.ndarray], *splits: Sample, **changed: Any) -> Context:
    """Returns a context; the sample named `real.validation` is the reference."""
    by_name = {each.name: each for each in splits}
    labelled = LabelledSet("real", TASKS, {}, EMPTY)
    given: dict[str, Any] = {
        "bank": Bank(folder, features),
        "extractor": Given(),
        "reference": by_name["real.validation"],
        "labelled": labelled,
        "splits": by_name,
    }
    return Context(**given | changed)


def values_of(metric: SetMetric, context: Context, of: Sample, *groups: Group) -> dict[str, float]:
    """Returns the values by metric, of a group other than `all` by `metric group`."""
    return {
        each.metric if each.group == ALL else f"{each.metric} {each.group}": each.value
        for each in measured(metric, context, of, *groups)
    }


def measured(metric: SetMetric, context: Context, of: Sample, *groups: Group) -> list[Measured]:
    return list(metric.measure(compared(context, of, *groups), metric.prepare(context)))


def compared(context: Context, of: Sample, *groups: Group) -> Comparison:
    whole = Group(ALL, np.arange(len(of)), np.arange(len(context.reference)))
    return Comparison(context, of, [whole, *groups])
