"""Features on disk."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stablerep.evaluation.feature_store import FeatureKey, FeatureStore

KEY = FeatureKey("encoder", "set", 32, "float32")
FEATURES = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features")


def _write(store: FeatureStore, key: FeatureKey = KEY, split: str = "train") -> np.ndarray:
    return store.write(key, split, 4, [FEATURES[:3], FEATURES[3:]])


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_features_are_read_back_memory_mapped(store: FeatureStore, dtype: str) -> None:
    key = replace(KEY, dtype=dtype)
    written = store.write(key, "train", 4, [part.astype(dtype) for part in (FEATURES[:3], FEATURES[3:])])
    for found in (written, store.read(key, "train"), np.load(store.path(key, "train"))):
        np.testing.assert_array_equal(found, FEATURES)
        assert found.dtype == dtype
    assert isinstance(written, np.memmap) and isinstance(store.read(key, "train"), np.memmap)


@pytest.mark.parametrize(
    "other", [{"encoder": "e"}, {"labelled_set": "s"}, {"size_px": 64}, {"dtype": "float16"}]
)
def test_another_key_is_another_file(store: FeatureStore, other: dict) -> None:
    _write(store)
    key = replace(KEY, **other)
    assert store.path(key, "train") != store.path(KEY, "train")
    assert store.read(key, "train") is None
    assert store.read(KEY, "test") is None


def _cut(data: bytes) -> bytes:
    return data[:-5]


def _flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def _empty(data: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [_cut, _flip, _empty])
@pytest.mark.parametrize("suffix", ["", ".json"])
def test_a_damaged_file_is_not_read_and_can_be_written_again(
    store: FeatureStore, damage, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    _write(store)
    path = store.path(KEY, "train")
    path = path.with_name(path.name + suffix)
    path.write_bytes(damage(path.read_bytes()))
    assert store.read(KEY, "train") is None
    assert "is damaged" in caplog.text
    _write(store)
    np.testing.assert_array_equal(store.read(KEY, "train"), FEATURES)


def test_features_without_their_record_are_not_read(store: FeatureStore) -> None:
    _write(store)
    path = store.path(KEY, "train")
    path.with_name(path.name + ".json").unlink()
    assert store.read(KEY, "train") is None


def test_a_failure_in_the_middle_leaves_nothing(store: FeatureStore) -> None:
    def batches():
        yield FEATURES[:3]
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        store.write(KEY, "train", 4, batches())
    assert not list(store.folder.iterdir())


def test_too_few_rows_are_refused(store: FeatureStore) -> None:
    with pytest.raises(ValueError, match="got 3 rows of features; must be 4"):
        store.write(KEY, "train", 4, [FEATURES[:3]])
    assert not list(store.folder.iterdir())


KILLED = """
import os, sys
from pathlib import Path
import numpy as np
from stablerep.evaluation.feature_store import FeatureKey, FeatureStore

def batches():
    yield np.zeros((3, 3), np.float32)
    os.kill(os.getpid(), 9)

FeatureStore(Path(sys.argv[1])).write(FeatureKey("encoder", "set", 32, "float32"), "train", 4, batches())
"""


def test_a_kill_in_the_middle_leaves_nothing_under_the_name_and_the_next_run_writes_it(
    store: FeatureStore,
) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(store.folder)], env={**os.environ}, check=False)
    assert ended.returncode == -9
    assert not store.path(KEY, "train").exists()
    assert store.read(KEY, "train") is None
    assert len(list(store.folder.iterdir())) == 1  # the partial file
    _write(store)
    assert store.read(KEY, "train") is not None
    assert not list(store.folder.glob("*.partial"))


def test_a_kill_between_the_features_and_their_record_computes_them_again(store: FeatureStore) -> None:
    _write(store)
    path = store.path(KEY, "train")
    path.with_name(path.name + ".json").unlink()
    assert store.read(KEY, "train") is None
    _write(store)
    assert store.read(KEY, "train") is not None


def test_prune_keeps_the_named_keys_alone(store: FeatureStore) -> None:
    other = replace(KEY, encoder="old")
    for key in (KEY, other):
        for split in ("train", "test"):
            _write(store, key, split)
    partial = store.folder / f"{KEY.digest}.validation.npy.partial"
    partial.write_bytes(b"half")
    removed = store.prune([KEY])
    assert len(removed) == 5 and partial in removed
    assert len(list(store.folder.iterdir())) == 4
    assert store.read(KEY, "train") is not None
    assert store.read(other, "train") is None
