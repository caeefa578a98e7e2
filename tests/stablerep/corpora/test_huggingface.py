"""Data sets of Hugging Face's library: from a folder, without a network."""

import pickle
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from stablerep.corpora.huggingface import HuggingFace
from stablerep.errors import ConfigError, DataError
from stablerep.validation.schemas import CorpusImages
from tests.stablerep.corpora.images import pixels, png, write_png


def split_of(first: int, number: int = 20, image: Any = None) -> datasets.Dataset:
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["cat", "dog"]),
            "text": datasets.List(datasets.Value("string")),
        }
    )
    columns = {
        "image": [image or {"bytes": png(first + row), "path": None} for row in range(number)],
        "label": [row % 2 for row in range(number)],
        "text": [[f"a {row}", f"b {row}"] for row in range(number)],
    }
    return datasets.Dataset.from_dict(columns, features)


def test_splits_labels_and_captions_of_a_saved_data_set(tmp_path: Path) -> None:
    folder = str(tmp_path / "saved")
    datasets.DatasetDict({"train": split_of(0, 60), "test": split_of(100)}).save_to_disk(folder)
    corpus = HuggingFace(folder)
    table = CorpusImages.validate(corpus.index())
    assert corpus.facts(table)["given_splits"] == ["train", "test"]
    assert corpus.tasks()["class"].classes == ("cat", "dog")
    assert table["key"].tolist()[60:62] == ["test/0", "test/1"] and table["captions"][61] == ["a 1", "b 1"]
    assert corpus.inputs() == [folder]
    images = pickle.loads(pickle.dumps(corpus.pixels(table)))
    for row, seed in ((79, 119), (0, 0), (60, 100)):
        np.testing.assert_array_equal(images.read(row).permute(1, 2, 0).numpy(), pixels(seed))


def test_a_data_set_without_splits_gets_some_and_images_may_be_files(tmp_path: Path) -> None:
    files = [str(write_png(tmp_path / f"images/{row}.png", row)) for row in range(30)]
    data = datasets.Dataset.from_dict({"picture": files}).cast_column("picture", datasets.Image())
    data.save_to_disk(str(tmp_path / "saved"))
    corpus = HuggingFace(str(tmp_path / "saved"), columns={"image": "picture"})
    table = corpus.index()
    assert corpus.tasks() == {} and not table["split_given"].any() and set(table["path"]) == {"all"}
    np.testing.assert_array_equal(corpus.pixels(table).read(7).permute(1, 2, 0).numpy(), pixels(7))


def test_columns_with_faults_are_refused(tmp_path: Path) -> None:
    split_of(0).save_to_disk(str(tmp_path))
    with pytest.raises(DataError, match="has no column 'img' for the image"):
        HuggingFace(str(tmp_path), columns={"image": "img"}).check()
    with pytest.raises(DataError, match="column 'text' has the type List; must be Image"):
        HuggingFace(str(tmp_path), columns={"image": "text"}).check()


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"Install the extra `huggingface` \(pip install"):
        HuggingFace("someone/pets").check()


def test_what_cannot_be_loaded_says_where_it_looked_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(DataError, match="no network") as caught:
        HuggingFace("someone/pets", subset="small").check()
    message = str(caught.value)
    assert "load_dataset('someone/pets', 'small').save_to_disk('FOLDER')" in message
    assert str(datasets.config.HF_DATASETS_CACHE) in message
