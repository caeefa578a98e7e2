"""Data sets of torchvision by the name of their class: pixels without files."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision
from PIL import Image

from stablerep.corpora.torchvision import TorchvisionDataset
from stablerep.errors import ConfigError, DataError
from stablerep.validation.schemas import CorpusImages
from tests.stablerep.corpora.images import pixels, write_class_folders, write_split_folders

FAKE = {"size": 60, "image_size": [3, 6, 5], "num_classes": 2}


class Pets:
    """Like CIFAR10: an argument `train`, labels in `targets`, images in memory."""

    classes = [("cat", "tom"), ("dog",)]

    def __init__(self, root: str, train: bool = True, download: bool = False) -> None:
        if not Path(root, "pets").is_file():
            raise RuntimeError("Dataset not found. You can use download=True to download it")
        self.first, self.targets = (0 if train else 500), [0, 1] * (30 if train else 5)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[Any, int]:
        return Image.fromarray(pixels(self.first + row)).convert("L"), self.targets[row]


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(torchvision.datasets, "Pets", Pets, raising=False)
    (tmp_path / "pets").touch()
    return str(tmp_path)


def test_splits_by_the_argument_train(pets: str) -> None:
    corpus = TorchvisionDataset("Pets", pets)
    table = CorpusImages.validate(corpus.index())
    facts = corpus.facts(table)
    assert facts["given_splits"] == ["train", "test"] and facts["num_images_per_split"]["test"] == 10
    assert corpus.name == "Pets" and corpus.tasks()["class"].classes == ("cat", "dog")
    images = pickle.loads(pickle.dumps(corpus.pixels(table)))
    grey = np.array(Image.fromarray(pixels(503)).convert("L"))
    np.testing.assert_array_equal(images.read(63).permute(1, 2, 0).numpy(), np.stack([grey] * 3, axis=-1))


def test_data_that_are_not_there_are_refused(pets: str) -> None:
    with pytest.raises(DataError, match=r"Pets cannot be opened.*Looked in '.*nowhere'.*corpus\.download"):
        TorchvisionDataset("Pets", f"{pets}/nowhere").check()


def test_a_data_set_without_splits_and_root() -> None:
    corpus = TorchvisionDataset("FakeData", arguments=FAKE)
    table = corpus.index()
    assert not table["split_given"].any() and len(table) == 60 and corpus.inputs() == []
    assert table["width_px"].unique().tolist() == [5]


def test_splits_by_their_own_arguments(tmp_path: Path) -> None:
    write_split_folders(tmp_path)
    splits = {split: {"root": str(tmp_path / split)} for split in ("train", "val", "test")}
    corpus = TorchvisionDataset("ImageFolder", splits=splits)
    table = corpus.index()
    assert table["split"].value_counts().tolist() == [4, 4, 4]
    assert corpus.tasks()["class"].classes == ("cat", "dog")


def test_damaged_images_are_unreadable(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path)
    path = root / "dog/003.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match="1 of 60 images cannot be read"):
        TorchvisionDataset("ImageFolder", str(root)).index()


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"class_name": "Cifar10"}, "must be a class of torchvision.datasets"),
        ({"class_name": "Food101"}, r"corpus\.splits must be given for torchvision's Food101"),
        ({"class_name": "FakeData", "arguments": {"sice": 3}}, "FakeData has no argument 'sice'"),
        ({"class_name": "FakeData", "splits": {"train": {"train": True}}}, "has no argument 'train'"),
    ],
)
def test_arguments_with_faults_are_refused(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        TorchvisionDataset(**settings)
