"""Features on disk: computed once per encoder and set, memory-mapped, whole or not there.

One `.npy` file per key and split. Beside it stands a small JSON file, written after it, with the digest of
the features: without it, or where the two differ, the features are computed again.
Legend: N images, F features.
"""

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from stablerep.storage.whole_files import PARTIAL_SUFFIX, written_whole

logger = logging.getLogger(__name__)

_FORMAT = 1  # how images are prepared and features are stored; a change computes all of them again


@dataclass(frozen=True)
class FeatureKey:
    """What features are a function of.

    Attributes:
        encoder: digest of its weights and its configuration.
        labelled_set: digest of the set.
        size_px: side of the images that the encoder gets.
        dtype: float16 or float32.
        change: what was done to the images; empty if nothing was.
    """

    encoder: str
    labelled_set: str
    size_px: int
    dtype: str
    change: str = ""

    @property
    def digest(self) -> str:
        """Names the files."""
        text = json.dumps({**asdict(self), "format": _FORMAT}, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class FeatureStore:
    """A folder of features.

    Args:
        folder: created where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: FeatureKey, split: str) -> Path:
        """Returns the file of a split's features."""
        return self.folder / f"{key.digest}.{split}.npy"

    def read(self, key: FeatureKey, split: str) -> np.ndarray | None:
        """Returns (N, F) memory-mapped features, or None where they are missing or damaged."""
        path = self.path(key, split)
        if not path.exists():
            return None
        try:
            record = json.loads(_record_of(path).read_text())
            if record["blake2b"] == _digest_of_file(path):
                return np.load(path, mmap_mode="r")
            reason = "its content is not what was written"
        except (OSError, ValueError, LookupError, TypeError) as error:
            reason = str(error)
        logger.warning("%s is damaged (%s); its features are computed again", path, reason)
        return None

    def write(
        self, key: FeatureKey, split: str, num_images: int, batches: Iterable[np.ndarray]
    ) -> np.ndarray:
        """Writes features batch by batch, and returns them memory-mapped.

        Args:
            key: what they are a function of.
            split: of the set.
            num_images: N.
            batches: (B, F) arrays of the key's dtype, N rows in all, at least one array.

        Raises:
            DataError: the disk refuses; nothing half stays under the file's name.
            ValueError: there are not N rows.
        """
        path = self.path(key, split)
        _record_of(path).unlink(missing_ok=True)  # of a damaged file
        advice = "Make room or set the permissions, and run again; complete features are kept."
        with written_whole(path, advice) as beside, beside.open("wb") as file:
            num_rows = 0
            for batch in batches:
                if not num_rows:
                    _write_header(file, num_images, batch)
                file.write(np.ascontiguousarray(batch).data)
                num_rows += len(batch)
            if num_rows != num_images:
                raise ValueError(f"{path}: got {num_rows} rows of features; must be {num_images}")
        with written_whole(_record_of(path), advice) as beside:
            record = {**asdict(key), "split": split, "blake2b": _digest_of_file(path)}
            beside.write_text(json.dumps(record, indent=1))
        return np.load(path, mmap_mode="r")

    def prune(self, keep: Iterable[FeatureKey]) -> list[Path]:
        """Removes the files of all other keys and what killed runs left, and returns their paths."""
        kept = {key.digest for key in keep}
        removed = []
        for path in sorted(self.folder.glob("*.npy*")):
            if path.name.split(".")[0] not in kept or path.name.endswith(PARTIAL_SUFFIX):
                path.unlink()
                removed.append(path)
        return removed


def _record_of(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _write_header(file: BinaryIO, num_images: int, batch: np.ndarray) -> None:
    header = {
        "descr": np.lib.format.dtype_to_descr(batch.dtype),
        "fortran_order": False,
        "shape": (num_images, *batch.shape[1:]),
    }
    np.lib.format.write_array_header_1_0(file, header)


def _digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
