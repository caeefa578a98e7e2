"""An image set whose images another one copies instead of drawing them again."""

from functools import cache
from pathlib import Path

from stablerep.storage.shards import SHARDS_FOLDER, StoredSample, is_shard_name, scan_shard, shard_name


class LendingSet:
    """Reads only the shards in which a caption is looked for, each once, digests verified."""

    def __init__(self, store: Path) -> None:
        """Names the image set's folder; it may be absent."""
        self.store, self._scan = store, cache(scan_shard)
        folder = store / SHARDS_FOLDER
        self._names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        suffixes = {name.rpartition("-")[2] for name in self._names if is_shard_name(name)}
        # sets keep the shards of another count until the new ones are whole
        self._counts = sorted(int(suffix.partition(".")[0]) for suffix in suffixes)

    def has(self, path: Path) -> bool:
        """Tells whether a shard is one of this set's."""
        return path.parent == self.store / SHARDS_FOLDER

    def find(self, caption_id: str) -> tuple[Path, StoredSample] | None:
        """Returns a caption's sample, of a damaged one what is intact, and the shard that holds it."""
        for num_shards in self._counts:
            name = shard_name(caption_id, num_shards)
            path = self.store / SHARDS_FOLDER / name
            sample = self._scan(path).samples.get(caption_id) if name in self._names else None
            if sample is not None:
                return path, sample
        return None
