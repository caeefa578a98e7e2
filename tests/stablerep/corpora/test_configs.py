"""Every shipped corpus of one's own data runs as it is configured, but for what must be given."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml

from pipelines.config.build import build
from stablerep.corpora.corpus import Corpus
from stablerep.curation.settings import Reading
from tests.stablerep.corpora.images import write_class_folders
from tests.stablerep.corpora.test_parquet import write as write_parquet
from tests.stablerep.corpora.test_webdataset import members_of, write_shard

FOLDER = Path(__file__).parents[3] / "conf/params/corpus"
OWN = sorted(
    path.stem for path in FOLDER.glob("*.yaml") if path.read_text().startswith("# @package corpus\n")
)


def corpus_of(name: str, given: dict[str, Any]) -> Corpus:
    entry = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    missing = {key for key, value in entry.items() if value == "???"}
    assert missing <= set(given)
    if "seed" in entry:
        assert entry["seed"] == "${seeds.0}"
        entry["seed"] = 0
    return build("corpus", entry | given, f"conf/params/corpus/{name}.yaml")


def saved_data_set(folder: Path) -> str:
    images = {"image": [str(path) for path in sorted(write_class_folders(folder / "images").rglob("*.png"))]}
    data = datasets.Dataset.from_dict(images).cast_column("image", datasets.Image())
    data.save_to_disk(str(folder / "saved"))
    return str(folder / "saved")


def captions_file(folder: Path) -> str:
    (folder / "a.txt").write_text("a cat\n")
    return str(folder / "a.txt")


GIVEN: dict[str, Callable[[Path], dict[str, Any]]] = {
    "image_folder": lambda folder: {"path": str(write_class_folders(folder))},
    "parquet": lambda folder: {"path": str(write_parquet(folder / "a.parquet"))},
    "webdataset": lambda folder: {"path": str(write_shard(folder / "a.tar", members_of(0, 40)))},
    "huggingface": lambda folder: {"name": saved_data_set(folder)},
    "torchvision": lambda folder: {"class_name": "ImageFolder", "root": str(write_class_folders(folder))},
    # CIFAR-10 itself is a download: another data set of torchvision in its place
    "cifar10": lambda folder: {"class_name": "ImageFolder", "root": str(write_class_folders(folder))},
    "captions": lambda folder: {"path": captions_file(folder)},
    "concepts": lambda folder: {"classes": ["cat", "dog"]},
}


@pytest.mark.parametrize("name", OWN)
def test_a_shipped_corpus_runs_as_it_is_configured(name: str, tmp_path: Path) -> None:
    corpus = corpus_of(name, GIVEN[name](tmp_path))
    corpus.check()
    assert corpus.name and isinstance(corpus.tasks(), dict)
    if name in ("captions", "concepts"):
        assert sum(len(batch) for batch in corpus.caption_batches(Reading())) >= 1
        assert corpus.index() is None
    else:
        table = corpus.index()
        assert table is not None and len(corpus.pixels(table)) == len(table) > 0
        assert corpus.pixels(table).read(0).shape == (3, 5, 7)
        assert corpus.inputs()


def test_all_of_them_are_found() -> None:
    assert set(OWN) == set(GIVEN)
