"""Images of an image set, decoded when a batch wants them: a set need not fit into memory.

Shards are plain tars, so an image is read by its place in the file, in any order; what that order is follows
from the sampler alone, however many processes decode.
"""

import copy
import logging
from collections import OrderedDict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stablerep.errors import DataError
from stablerep.storage.outages import file_faults, read_patiently
from stablerep.storage.pixels import UnreadableImageError
from stablerep.storage.shards import SHARDS_FOLDER, decode_image, digest_of, locate_members

logger = logging.getLogger(__name__)


class StoredImages:
    """Images of an image set on the disk, decoded one by one and kept while there is room."""

    def __init__(self, store: Path, manifest: pd.DataFrame, cache_mib: float) -> None:
        """Finds each image's place in its shard; decodes none.

        Args:
            store: the image set's folder.
            manifest: a row an image: `shard`, `member`, `digest`; the order is that of the rows here.
            cache_mib: of decoded images that a process keeps, the longest unused leaving first.

        Raises:
            DataError: a shard is missing or no tar.
        """
        self.paths: list[Path] = []
        self.shard_of = np.zeros(len(manifest), np.int32)
        self.places = np.full((len(manifest), 2), -1, np.int64)  # offset and bytes; -1 for a missing image
        self.digests = manifest["digest"].to_numpy(dtype=object)
        self.members = manifest["member"].to_numpy(dtype=object)
        for number, (shard, rows) in enumerate(manifest.reset_index(drop=True).groupby("shard", sort=True)):
            path = store / SHARDS_FOLDER / str(shard)
            self.paths.append(path)
            found = locate_members(path)
            self.shard_of[rows.index] = number
            for row, member in zip(rows.index, rows["member"], strict=True):
                self.places[row] = found.get(member, (-1, -1))
        self.max_bytes = round(cache_mib * 2**20)
        self._kept: OrderedDict[int, Tensor] = OrderedDict()
        self._kept_bytes = 0
        self._shape: torch.Size | None = None

    def __len__(self) -> int:
        """Returns how many images there are."""
        return len(self.digests)

    def name_of(self, row: int) -> str:
        """Returns the image's shard and its name in it."""
        return f"{self.paths[self.shard_of[row]].name}/{self.members[row]}"

    def fingerprint(self) -> bytes:
        """Returns the digests of all images, which their bytes are held against."""
        return "\n".join(self.digests).encode()

    def subset(self, rows: Tensor) -> "StoredImages":
        """Returns the images of these rows; it keeps decoded images of its own."""
        chosen = copy.copy(self)
        chosen.shard_of, chosen.places = self.shard_of[rows.numpy()], self.places[rows.numpy()]
        chosen.digests, chosen.members = self.digests[rows.numpy()], self.members[rows.numpy()]
        chosen._kept, chosen._kept_bytes = OrderedDict(), 0
        return chosen

    def read(self, row: int) -> Tensor:
        """Returns an image, (3, H, W) uint8.

        Raises:
            UnreadableImageError: the shard has no such bytes, they are not those of the manifest or cannot
                be decoded, or it has another size than the first that was read.
            OutageError: the shard is missing or the file system fails, and so it stays.
        """
        kept = self._kept.get(row)
        if kept is not None:
            self._kept.move_to_end(row)
            return kept
        image = self._decode(row)
        if self._shape is None:
            self._shape = image.shape
        if image.shape != self._shape:
            raise UnreadableImageError(
                f"{self._name(row)}: is {tuple(image.shape)}; must be {tuple(self._shape)} as the others"
            )
        self._keep(row, image)
        return image

    def _decode(self, row: int) -> Tensor:
        offset, size = self.places[row]
        if offset < 0:
            raise UnreadableImageError(f"{self._name(row)}: is missing")
        data = read_patiently(partial(_read_part, self.paths[self.shard_of[row]], offset, size))
        if digest_of(data) != self.digests[row]:
            raise UnreadableImageError(f"{self._name(row)}: has other bytes than the manifest says")
        try:
            return decode_image(data)
        except DataError as error:
            raise UnreadableImageError(f"{self._name(row)}: {error}") from error

    def _keep(self, row: int, image: Tensor) -> None:
        if image.nbytes > self.max_bytes:
            return
        self._kept[row] = image
        self._kept_bytes += image.nbytes
        while self._kept_bytes > self.max_bytes:
            _, gone = self._kept.popitem(last=False)
            self._kept_bytes -= gone.nbytes

    def _name(self, row: int) -> str:
        return f"{self.paths[self.shard_of[row]].name}: {self.members[row]}"


def _read_part(path: Path, offset: int, size: int) -> bytes:
    with file_faults(path), path.open("rb") as file:
        file.seek(offset)
        return file.read(size)
