"""Images in Parquet files: as bytes or structs, in row groups, split by files."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from stablerep.corpora import parquet
from stablerep.corpora.image_table import measure_images
from stablerep.corpora.parquet import ParquetImages
from stablerep.corpora.reading_in_place import Place
from stablerep.errors import ConfigError, DataError
from stablerep.storage.pixels import UnreadableImageError
from stablerep.validation.schemas import CorpusImages
from tests.stablerep.corpora.images import pixels, png

CIFAR10 = Path(os.environ.get("STABLEREP_SHARED_DATA", Path(__file__).parents[4] / "shared/data")) / "cifar10"


def write(path: Path, number: int = 40, first: int = 0, schema: Any = None, **columns: Any) -> Path:
    table = {"image": [png(first + row) for row in range(number)]}
    table["label"] = [row % 2 for row in range(number)]
    pq.write_table(pa.table(table | columns, schema=schema), path, row_group_size=7)
    return path


def check_pixels(corpus: ParquetImages, first: int = 0) -> None:
    table = CorpusImages.validate(corpus.index())
    images = corpus.pixels(table)
    for row in (13, 39, 0, 20):
        np.testing.assert_array_equal(images.read(row).permute(1, 2, 0).numpy(), pixels(first + row))


def test_bytes_are_read_from_their_row(tmp_path: Path) -> None:
    corpus = ParquetImages(str(write(tmp_path / "a.parquet")), class_names=["cat", "dog"])
    check_pixels(corpus)
    table = corpus.index()
    assert table["label.class"].tolist() == [row % 2 for row in range(40)]
    assert table["key"].tolist()[:2] == ["a:0", "a:1"]
    assert list(tmp_path.iterdir()) == [tmp_path / "a.parquet"]  # nothing is copied


def test_structs_of_bytes_and_path_are_read(tmp_path: Path) -> None:
    structs = [{"bytes": png(row), "path": f"{row}.png"} for row in range(40)]
    corpus = ParquetImages(str(write(tmp_path / "a.parquet", image=structs)))
    check_pixels(corpus)
    assert len(corpus.index()) == len(structs)


def test_columns_are_named_and_files_give_splits(tmp_path: Path) -> None:
    for place, split in enumerate(("train", "validation", "test")):
        path = write(
            tmp_path / f"{split}.parquet", 40, 100 * place,
            text=[["a cat", "a tom"]] * 40, id=[f"k{row}" for row in range(40)],
        )  # fmt: skip
        assert path.is_file()
    paths = {split: str(tmp_path / f"{split}.parquet") for split in ("train", "validation", "test")}
    corpus = ParquetImages(paths, columns={"caption": "text", "key": "id"})
    table = corpus.index()
    assert table["key"].tolist()[::40] == ["train/k0", "validation/k0", "test/k0"]
    assert table["captions"].tolist()[0] == ["a cat", "a tom"]
    assert corpus.facts(table)["num_images_per_split"] == {"train": 40, "validation": 40, "test": 40}
    assert corpus.inputs() == list(paths.values())


def test_class_names_of_the_hub_are_taken(tmp_path: Path) -> None:
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    schema = pa.schema([("image", pa.binary()), ("label", pa.int64())], metadata=about)
    path = write(tmp_path / "a.parquet", schema=schema)
    assert ParquetImages(str(path)).tasks()["class"].classes == ("cat", "dog")
    own = ParquetImages(str(path), class_names=["katze", "hund"])
    assert own.tasks()["class"].classes == ("katze", "hund")


def test_the_cache_is_bounded_and_stays_behind_when_pickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(write(tmp_path / "a.parquet"))
    corpus = ParquetImages(path, cache_mib=0)
    images = pickle.loads(pickle.dumps(corpus.pixels(corpus.index())))
    groups: list[int] = []
    opened = parquet._opened

    def counted(path: str) -> Any:
        file = opened(path)
        read = file.read_row_group
        file.read_row_group = lambda group, **options: groups.append(group) or read(group, **options)
        return file

    monkeypatch.setattr(parquet, "_opened", counted)
    for row in (0, 1, 6, 7, 0):
        images.read(row)
    assert groups == [0, 1, 0] and len(images.reader._kept) == 1
    images.reader.cache_mib = 1
    groups.clear()
    for row in (0, 7, 0, 7):
        images.subset(torch.tensor([row])).read(0)
    assert groups == [1]


def test_a_row_that_is_gone_or_empty_is_unreadable(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", image=[png(row) if row != 3 else None for row in range(40)])
    with pytest.raises(DataError, match=r"a:3: has no bytes in its row"):
        ParquetImages(str(path)).index()
    reader = ParquetImages(str(path))._reader()
    with pytest.raises(UnreadableImageError, match="which has 40 rows now"):
        reader.read(Place(str(path), -1, -1, 40))


def test_faults_of_files_and_columns_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", text=["x"] * 40)
    faults = {
        "no such file": ParquetImages(str(tmp_path / "b*.parquet")),
        "matched twice": ParquetImages([str(path), str(tmp_path / "*.parquet")]),
        "has no column 'caption' for the caption": ParquetImages(str(path), columns={"caption": "caption"}),
        "has no column 'jpg' for the image": ParquetImages(str(path), columns={"image": "jpg"}),
        "it must be bytes of image files": ParquetImages(str(path), columns={"image": "text"}),
    }
    for message, corpus in faults.items():
        with pytest.raises(DataError, match=message):
            corpus.check()
    (tmp_path / "c.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        ParquetImages(str(tmp_path / "c.parquet")).check()
    pq.write_table(pa.table({"image": [png(1)] * 2}), tmp_path / "d.parquet")
    with pytest.raises(DataError, match=r"d.parquet: differs from the files before it in label\.class"):
        ParquetImages([str(path), str(tmp_path / "d.parquet")]).check()
    pq.write_table(pa.table({"image": pa.array([], pa.binary())}), tmp_path / "e.parquet")
    with pytest.raises(DataError, match="has no rows"):
        ParquetImages(str(tmp_path / "e.parquet")).check()
    with pytest.raises(ConfigError, match=r"corpus\.path"):
        ParquetImages([])


@pytest.mark.skipif(not CIFAR10.is_dir(), reason="no CIFAR-10; name its folder in STABLEREP_SHARED_DATA")
def test_cifar10() -> None:
    paths = {split: str(CIFAR10 / f"{split}.parquet") for split in ("train", "test")}
    corpus = ParquetImages(paths, columns={"image": "jpg"})
    corpus.check()
    assert len(corpus.tasks()["class"].classes) == 10
    listing, _ = corpus._listed
    assert len(listing) == 60_000 and (listing["split"] == "test").sum() == 10_000
    some = measure_images(listing[::997].reset_index(drop=True), corpus._reader(), None, 0)
    assert (some["width_px"] == 32).all() and corpus.pixels(some).read(60).shape == (3, 32, 32)
