"""Features of a frozen encoder, read through `Pixels` in batches and kept in a `FeatureStore`.

Legend: B images of a batch, N images, F features, S side of an encoder's images in pixels.
"""

import copy
import hashlib
import json
import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stablerep.errors import ConfigError, DataError, TrainingError
from stablerep.evaluation.feature_store import FeatureKey, FeatureStore
from stablerep.evaluation.labelled_set import LabelledSet
from stablerep.evaluation.subject import Change, Subject, TextTower
from stablerep.models.encoder import Encoder
from stablerep.storage.pixels import Pixels

logger = logging.getLogger(__name__)

DTYPES = ("float16", "float32")
_NUM_THREADS = 2  # that read images ahead of the encoder


class EncoderFeatures:
    """The features of one encoder on one set, computed where the store has none.

    Args:
        name: the arm's or reference's, for messages.
        encoder: on any device; it is moved to the GPU, where there is one, and back.
        config: what it was built from; part of the key.
        labelled_set: the images' table.
        pixels: the images.
        store: where features are kept.
        dtype: `float16` halves the files; `float32` loses nothing.
        batch_size: B.

    Raises:
        ConfigError: dtype is none of the two.
        DataError: there are more or fewer images than rows in the table.
    """

    def __init__(
        self,
        name: str,
        encoder: Encoder,
        config: Mapping[str, Any],
        labelled_set: LabelledSet,
        pixels: Pixels,
        store: FeatureStore,
        dtype: str = "float32",
        batch_size: int = 256,
    ) -> None:
        if dtype not in DTYPES:
            raise ConfigError(f"features: dtype is {dtype!r}; it must be one of {', '.join(DTYPES)}.")
        if len(pixels) != len(labelled_set.table):
            raise DataError(
                f"evaluation set {labelled_set.name!r} has {len(pixels)} images and "
                f"{len(labelled_set.table)} rows in its table; they must be equal. Import the set again."
            )
        self.name, self.encoder, self.labelled_set = name, encoder, labelled_set
        self.pixels, self.store, self.batch_size = pixels, store, batch_size
        self.key = FeatureKey(encoder_digest(encoder, config), labelled_set.digest, encoder.size_px, dtype)
        self.used_keys = {self.key}

    def __call__(self, split: str, change: Change | None = None) -> np.ndarray:
        """Returns (N, F) memory-mapped features of a split, in the order of the table.

        Args:
            split: of the set.
            change: what is done to its images before the encoder sees them; None for nothing.

        Raises:
            TrainingError: features are not finite.
        """
        key = self.key if change is None else replace(self.key, change=change.key)
        self.used_keys.add(key)
        found = self.store.read(key, split)
        if found is not None:
            return found
        started = time.monotonic()
        rows = self.labelled_set.rows(split)
        pixels = self.pixels if change is None else _ChangedPixels(self.pixels, change)
        found = self.store.write(key, split, len(rows), self._compute(pixels, rows))
        logger.info(
            "%s: %d features of %d %s images of %s%s in %.1f s",
            self.name, found.shape[1], len(rows), split, self.labelled_set.name,
            f", {key.change}" if change else "", time.monotonic() - started,
        )  # fmt: skip
        return found

    def images(self, split: str) -> "SplitImages":
        """Returns the images of a split, for evaluations that need more than features."""
        return SplitImages(self, split)

    @torch.inference_mode()
    def _compute(self, pixels: "Readable", rows: np.ndarray) -> Iterator[np.ndarray]:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        was_training = self.encoder.training
        self.encoder.eval().to(device)
        try:
            for images in read_ahead(pixels, rows, self.batch_size):
                features = self.encoder(fit_size(images, self.encoder.size_px, device)).flatten(1).float()
                yield self._checked(features.cpu().numpy())
        finally:
            self.encoder.train(was_training).to("cpu")

    def _checked(self, features: np.ndarray) -> np.ndarray:
        bad = int((~np.isfinite(features)).any(axis=1).sum())
        if bad:
            raise TrainingError(
                f"arm {self.name!r}: features are not finite for {bad} of {len(features)} images; all must "
                "be. Its training went wrong: lower the learning rate and train it again."
            )
        with np.errstate(over="ignore"):
            stored = features.astype(self.key.dtype)
        if not np.isfinite(stored).all():
            raise TrainingError(
                f"arm {self.name!r}: features reach {np.abs(features).max():g}, too large for "
                f"{self.key.dtype}. Store them as float32."
            )
        return stored


class SplitImages:
    """The images of one split, and the encoder that sees them; `stablerep.evaluation.subject.Images`.

    Args:
        features: of the encoder.
        split: of its set.
    """

    def __init__(self, features: EncoderFeatures, split: str) -> None:
        self._features, self._split = features, split
        self._rows = features.labelled_set.rows(split)

    def __len__(self) -> int:
        """Returns N."""
        return len(self._rows)

    def read(self, places: np.ndarray) -> list[Tensor]:
        """Returns the images at some places of the split, (3, H, W) uint8 each."""
        return [self._features.pixels.read(row) for row in self._rows[places].tolist()]

    def features_of(self, change: Change) -> np.ndarray:
        """Returns (N, F) memory-mapped features of changed images; raises TrainingError as features do."""
        return self._features(self._split, change)

    def copy_of_encoder(self) -> Encoder:
        """Returns the encoder on the CPU, to train further."""
        return copy.deepcopy(self._features.encoder)


class Readable(Protocol):
    """What images are read from."""

    def read(self, row: int) -> Tensor:
        """Returns an image, (3, H, W) uint8."""
        ...


class _ChangedPixels:
    """Images that are changed when they are read."""

    def __init__(self, pixels: Pixels, change: Change) -> None:
        self._pixels, self._change = pixels, change

    def read(self, row: int) -> Tensor:
        return self._change(self._pixels.read(row), self._pixels.name_of(row))


def encoder_subject(
    name: str,
    encoder: Encoder,
    config: Mapping[str, Any],
    labelled_set: LabelledSet,
    pixels: Pixels,
    store: FeatureStore,
    dtype: str = "float32",
    text: TextTower | None = None,
) -> Subject:
    """Returns an encoder on a set, its features computed when a split is first opened.

    Args:
        name: see `EncoderFeatures`.
        encoder: likewise.
        config: likewise.
        labelled_set: likewise.
        pixels: likewise.
        store: likewise.
        dtype: likewise.
        text: the encoder's text tower, if it has one.
    """
    features = EncoderFeatures(name, encoder, config, labelled_set, pixels, store, dtype)
    return Subject(name, labelled_set, features, text, features.images)


def encoder_digest(encoder: nn.Module, config: Mapping[str, Any]) -> str:
    """Returns a digest of an encoder's class, configuration and weights."""
    digest = hashlib.blake2b(digest_size=16)
    name = f"{type(encoder).__module__}.{type(encoder).__qualname__}"
    digest.update(json.dumps([name, dict(config)], sort_keys=True).encode())
    for key, value in sorted(encoder.state_dict().items()):
        digest.update(json.dumps([key, str(value.dtype), list(value.shape)]).encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fit_size(images: list[Tensor], size_px: int, device: torch.device) -> Tensor:
    """Resizes the shorter side of each image to S and crops the centre.

    Args:
        images: (3, H, W) uint8 each, of any sizes.
        size_px: S.
        device: where this is done: uint8 is a quarter of float32 to move.

    Returns:
        (B, 3, S, S) float32 in [0, 1].
    """
    if len({image.shape for image in images}) > 1:
        return torch.cat([fit_size([image], size_px, device) for image in images])
    batch = torch.stack(images).to(device).float() / 255
    height, width = batch.shape[-2:]
    if min(height, width) != size_px:
        scale = size_px / min(height, width)
        height, width = (max(size_px, round(side * scale)) for side in (height, width))
        batch = F.interpolate(batch, (height, width), mode="bilinear", antialias=True)
    top, left = (height - size_px) // 2, (width - size_px) // 2
    return batch[..., top : top + size_px, left : left + size_px].contiguous()


def read_ahead(pixels: Readable, rows: np.ndarray, batch_size: int) -> Iterator[list[Tensor]]:
    """Yields the images of rows in batches; threads read the next ones meanwhile."""

    def read(start: int) -> list[Tensor]:
        return [pixels.read(row) for row in rows[start : start + batch_size].tolist()]

    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        waiting: deque[Future[list[Tensor]]] = deque()
        for start in range(0, len(rows), batch_size):
            waiting.append(pool.submit(read, start))
            if len(waiting) > _NUM_THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
