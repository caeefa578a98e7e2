"""Samples of WebDataset shards, read by their place in the tar."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stablerep.corpora.webdataset import WebDataset
from stablerep.errors import DataError
from stablerep.validation.schemas import CorpusImages
from tests.stablerep.corpora.images import pixels, png


def write_shard(path: Path, members: dict[str, bytes | str], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            content = data.encode() if isinstance(data, str) else data
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def members_of(first: int, number: int = 20) -> dict[str, bytes | str]:
    members: dict[str, bytes | str] = {}
    for n in range(first, first + number):
        members[f"{n:06}.png"] = png(n)
        members[f"{n:06}.txt"] = f"caption {n}\n"
        members[f"{n:06}.cls"] = str(n % 2)
    return members


def test_images_captions_and_labels_of_all_shards(tmp_path: Path) -> None:
    write_shard(tmp_path / "0.tar", members_of(0))
    write_shard(tmp_path / "1.tar", members_of(20))
    corpus = WebDataset(str(tmp_path / "*.tar"), class_names=["cat", "dog"])
    table = CorpusImages.validate(corpus.index())
    assert table["key"].tolist() == [f"{n:06}" for n in range(40)]
    assert table["captions"].tolist() == [[f"caption {n}"] for n in range(40)]
    assert table["label.class"].tolist() == [n % 2 for n in range(40)]
    images = corpus.pixels(table)
    for row in (39, 0, 21):
        np.testing.assert_array_equal(images.read(row).permute(1, 2, 0).numpy(), pixels(row))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.tar", "1.tar"]  # nothing is unpacked


def test_json_gives_captions_labels_splits_and_units(tmp_path: Path) -> None:
    members: dict[str, bytes | str] = {}
    for n in range(24):
        record: dict[str, Any] = {"title": [f"a {n}", f"b {n}"], "label": "cd"[n // 4 % 2], "split": "train"}
        record |= {"split": ["train", "train", "val", "test"][n % 4], "unit": f"u{n}"}
        members[f"a/{n}.jpg"] = png(n)
        members[f"a/{n}.json"] = json.dumps(record)
    corpus = WebDataset(str(write_shard(tmp_path / "0.tar", members)), columns={"caption": "title"})
    table = corpus.index()
    assert table["captions"].tolist()[3] == ["a 3", "b 3"] and table["unit"].tolist()[3] == "u3"
    assert table["split"].tolist()[:4] == ["train", "train", "validation", "test"]
    assert corpus.tasks()["class"].classes == ("c", "d") and table["key"][0] == "a/0"
    with pytest.raises(DataError, match="has no column 'captoin' for the caption"):
        WebDataset(str(tmp_path / "0.tar"), columns={"caption": "captoin"}).check()


def test_samples_may_hold_several_images_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    members: dict[str, bytes | str] = {"._0.png": b"x", "readme.md": "x"}
    for n in range(20):
        members |= {f"{n}.0.png": png(n), f"{n}.1.png": png(100 + n), f"{n}.txt": f"caption {n}"}
    table = WebDataset(str(write_shard(tmp_path / "0.tar", members))).index()
    assert table["key"].tolist()[:4] == ["0.0", "0.1", "1.0", "1.1"]
    assert table["captions"].tolist()[:2] == [["caption 0"], ["caption 0"]]
    assert len(table) == 40


def test_shards_give_splits(tmp_path: Path) -> None:
    paths = {}
    for place, split in enumerate(("train", "val", "test")):
        members = {f"{n}.png": png(100 * place + n) for n in range(4)}
        paths[split] = [str(write_shard(tmp_path / f"{split}.tar", members))]
    corpus = WebDataset(paths)
    table = corpus.index()
    assert table["split"].tolist() == ["train"] * 4 + ["validation"] * 4 + ["test"] * 4
    assert table["key"].tolist()[::4] == ["train/0", "val/0", "test/0"]


def test_shards_with_faults_are_refused(tmp_path: Path) -> None:
    good = write_shard(tmp_path / "good.tar", members_of(0))
    data = good.read_bytes()
    (tmp_path / "cut.tar").write_bytes(data[: len(data) // 2])
    (tmp_path / "between.tar").write_bytes(data[: 512 * 4])  # after the first image and its caption's header
    (tmp_path / "end.tar").write_bytes(data[: 20 * 3 * 2 * 512])  # behind the last member
    for name in ("cut", "between", "end"):
        with pytest.raises(
            DataError, match=f"{name}.tar: (is cut short|cannot be read as an uncompressed tar)"
        ):
            WebDataset(str(tmp_path / f"{name}.tar")).check()
    write_shard(tmp_path / "packed.tar", members_of(0), "w:gz")
    with pytest.raises(DataError, match=r"packed.tar: cannot be read as an uncompressed tar"):
        WebDataset(str(tmp_path / "packed.tar")).check()
    write_shard(tmp_path / "text.tar", {"0.txt": "x"})
    with pytest.raises(DataError, match="has no images; members must end in jpg"):
        WebDataset(str(tmp_path / "text.tar")).check()
    for content, fault in (("[1]", "is a list; must be a JSON object"), ("{", "is not JSON")):
        write_shard(tmp_path / "json.tar", {"0.png": png(0), "0.json": content})
        with pytest.raises(DataError, match=f"0.json: {fault}"):
            WebDataset(str(tmp_path / "json.tar")).check()
    with pytest.raises(DataError, match="20 keys stand for more than one image"):
        write_shard(tmp_path / "good2.tar", members_of(0))
        WebDataset(str(tmp_path / "good*.tar")).check()
