"""Folders of images in every layout, and the faults that they may have."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from stablerep.corpora.corpus import IMAGE_COLUMNS
from stablerep.corpora.image_folder import ImageFolder
from stablerep.curation.reading.engine import SCHEMA
from stablerep.curation.settings import Reading
from stablerep.errors import ConfigError, DataError
from stablerep.validation.schemas import CorpusImages
from tests.stablerep.corpora.images import (
    CLASSES,
    pixels,
    png,
    write_class_folders,
    write_png,
    write_split_folders,
)


def write_metadata(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Writes a metadata file and its images."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(rows):
        write_png(path.parent / row["file_name"], number)
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
    elif path.suffix == ".csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    else:
        pd.DataFrame(rows).to_parquet(path)
    return path


def rows_of(number: int = 12, **more: Any) -> list[dict[str, Any]]:
    splits = ["train", "train", "val", "test"]
    return [
        {
            "file_name": f"x/{n}.png",
            "text": f"a {CLASSES[n // 4 % 2]} {n}",
            "label": CLASSES[n // 4 % 2],
            "split": splits[n % 4],
            **more,
        }
        for n in range(number)
    ]


def test_folders_are_classes_and_missing_splits_are_made(tmp_path: Path) -> None:
    corpus = ImageFolder(str(write_class_folders(tmp_path / "pets")))
    table = CorpusImages.validate(corpus.index())
    assert list(table) == [*IMAGE_COLUMNS, "label.class"]
    assert corpus.name == "pets" and corpus.tasks()["class"].classes == CLASSES
    assert set(table["split"]) == {"train", "validation", "test"} and not table["split_given"].any()
    assert [CLASSES[label] for label in table["label.class"]] == [key.split("/")[0] for key in table["key"]]
    images = corpus.pixels(table)
    np.testing.assert_array_equal(images.read(31).permute(1, 2, 0).numpy(), pixels(1001))
    assert (table["width_px"] == 7).all() and (table["height_px"] == 5).all()


def test_an_added_image_moves_no_other(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path)
    before = ImageFolder(str(root)).index().set_index("key")
    write_png(root / "cat/0000.png", 5000)
    write_png(root / "ant/a.png", 5001)
    write_png(root / "ant/b.png", 5002)
    after = ImageFolder(str(root)).index().set_index("key")
    assert len(after) == len(before) + 3
    pd.testing.assert_frame_equal(
        before.drop(columns="label.class"), after.loc[before.index].drop(columns="label.class")
    )


@pytest.mark.parametrize("splits", [("train", "val", "test"), ("Training", "valid", "Test")])
def test_folders_of_splits_stand_above_classes(tmp_path: Path, splits: tuple[str, ...]) -> None:
    corpus = ImageFolder(str(write_split_folders(tmp_path, splits)))
    table = corpus.index()
    assert table["split_given"].all()
    wanted = dict(zip(splits, ("train", "validation", "test"), strict=True))
    assert table["split"].tolist() == [wanted[key.split("/")[0]] for key in table["key"]]
    facts = corpus.facts(table)
    assert facts["given_splits"] == ["train", "validation", "test"] and facts["made_splits"] == []
    assert facts["num_images_per_split"] == {"train": 4, "validation": 4, "test": 4}


def test_validation_is_taken_from_train_where_it_is_missing(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path / "train").parent
    write_class_folders(tmp_path / "test", 2)
    for path in (tmp_path / "test").rglob("*.png"):
        path.write_bytes(png(int(path.stem) + 7000 + 10 * (path.parent.name == "dog")))
    corpus = ImageFolder(str(root))
    facts = corpus.facts(corpus.index())
    assert facts["given_splits"] == ["train", "test"] and facts["made_splits"] == ["validation"]
    assert facts["num_images_per_split"]["test"] == 4


def test_own_names_of_splits(tmp_path: Path) -> None:
    root = write_split_folders(tmp_path, ("train", "dev", "holdout"))
    with pytest.raises(DataError, match="folders 'dev', 'train' of splits and also 'holdout'"):
        ImageFolder(str(root)).check()
    table = ImageFolder(str(root), split_names={"holdout": "test"}).index()
    assert (table["split"] == "test").sum() == 4


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path)
    (root / "dog").rename(root / "train")
    assert ImageFolder(str(root)).tasks()["class"].classes == ("cat", "train")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_metadata_gives_captions_labels_and_splits(tmp_path: Path, ending: str) -> None:
    write_metadata(tmp_path / f"metadata.{ending}", rows_of(24))
    corpus = ImageFolder(str(tmp_path), name="mine")
    table = CorpusImages.validate(corpus.index())
    assert table["captions"].tolist() == [[f"a {CLASSES[n // 4 % 2]} {n}"] for n in range(24)]
    assert table["label.class"].tolist() == [n // 4 % 2 for n in range(24)]
    assert table["split_given"].all()
    batches = list(corpus.caption_batches(Reading(licence="CC0-1.0"), batch_size=5))
    frame = pl.concat(batches)
    assert frame.schema == SCHEMA and [len(batch) for batch in batches] == [5, 5, 2]
    # captions of validation and test stay unseen
    numbers = [n for n in range(24) if n % 4 < 2]
    assert frame["caption"].to_list() == [f"a {CLASSES[n // 4 % 2]} {n}" for n in numbers]
    assert frame["line"].to_list() == [n + 1 for n in numbers] and frame["row"].to_list() == list(range(12))
    assert set(frame["source"]) == {"mine"} and set(frame["licence"]) == {"CC0-1.0"}
    assert corpus.count_captions(Reading(), 3) == 3
    assert corpus.labels_of(["a cat", "two dogs", "a cow"]) == {"class": [0, 1, None]}


def test_an_image_may_have_several_captions_or_none(tmp_path: Path) -> None:
    rows = rows_of(24)
    rows[0]["text"] = ["a cat", "a tom"]
    rows[1]["text"] = None
    write_metadata(tmp_path / "metadata.jsonl", rows)
    corpus = ImageFolder(str(tmp_path))
    assert corpus.index()["captions"].tolist()[:2] == [["a cat", "a tom"], []]
    first = next(corpus.caption_batches(Reading()))
    assert first["caption"].to_list()[:3] == ["a cat", "a tom", "a dog 4"]
    assert first["line"].to_list()[:3] == [1, 1, 5]


def test_each_folder_of_a_split_may_have_its_metadata(tmp_path: Path) -> None:
    for place, split in enumerate(("train", "validation", "test")):
        rows = [
            {"file_name": f"{n}.png", "text": f"{split} {n}", "label": n % 2, "unit": f"{place} {n // 2}"}
            for n in range(4)
        ]
        write_metadata(tmp_path / split / "metadata.jsonl", rows)
        for n in range(4):
            write_png(tmp_path / split / f"{n}.png", 10 * place + n)
    corpus = ImageFolder(str(tmp_path), class_names=["cat", "dog"])
    table = corpus.index()
    assert [key.split("/")[0] for key in table["key"]] == table["split"].tolist()
    assert corpus.tasks()["class"].classes == ("cat", "dog")
    assert corpus.facts(table)["num_units"] == 6
    (tmp_path / "test/metadata.jsonl").unlink()
    with pytest.raises(DataError, match="test has no metadata file and another split has"):
        ImageFolder(str(tmp_path)).check()


def test_several_tasks_stand_in_columns_of_their_own(tmp_path: Path) -> None:
    rows = [{**row, "size": number % 8 // 4} for number, row in enumerate(rows_of(24))]
    write_metadata(tmp_path / "metadata.jsonl", rows)
    columns = {"label": {"animal": "label", "size": "size"}}
    names = {"size": ["small", "big"]}
    corpus = ImageFolder(str(tmp_path), columns=columns, class_names=names)
    assert {name: task.classes for name, task in corpus.tasks().items()} == {
        "animal": CLASSES, "size": ("small", "big")
    }  # fmt: skip
    assert {"label.animal", "label.size"} < set(CorpusImages.validate(corpus.index()))
    with pytest.raises(ConfigError, match="class_names must be given by task"):
        ImageFolder(str(tmp_path), columns=columns, class_names=["small", "big"]).check()
    with pytest.raises(ConfigError, match=r"class_names\.colour: unknown task"):
        ImageFolder(str(tmp_path), columns=columns, class_names={"colour": ["small"]}).check()


def test_images_without_classes_have_no_tasks(tmp_path: Path) -> None:
    for number in range(30):
        write_png(tmp_path / f"{number}.png", number)
    corpus = ImageFolder(str(tmp_path))
    assert corpus.tasks() == {} and corpus.labels_of(["a cat"]) == {}
    assert list(corpus.index()) == list(IMAGE_COLUMNS)
    with pytest.raises(ConfigError, match="has no captions"):
        next(corpus.caption_batches(Reading()))


def test_hidden_files_and_links_around_are_left_out(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path)
    (root / "cat/._001.png").write_bytes(b"x")
    write_png(root / ".thumbs/1.png", 1)
    (root / "cat/again").symlink_to(root, target_is_directory=True)
    assert len(ImageFolder(str(root)).index()) == 60


def test_unchanged_files_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_class_folders(tmp_path)
    first = ImageFolder(str(root)).index()
    changed = root / "cat/003.png"
    changed.write_bytes(png(4242))
    os.utime(changed, ns=(1, 1))
    read: list[str] = []
    whole = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *args: read.append(self.name) or whole(self, *args))
    second = ImageFolder(str(root)).index(first)
    assert read == ["003.png"]
    different = first.index[first["digest"] != second["digest"]]
    assert first.loc[different, "key"].tolist() == ["cat/003.png"]
    pd.testing.assert_frame_equal(second, ImageFolder(str(root)).index())


def test_unreadable_images_are_counted_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_class_folders(tmp_path)
    (root / "dog/007.png").write_bytes(png(1)[:50])
    with pytest.raises(
        DataError, match=r"1 of 60 images cannot be read \(1\.7%\).*dog/007\.png: is not an image"
    ):
        ImageFolder(str(root)).index()
    corpus = ImageFolder(str(root), max_unreadable_share=0.02)
    with caplog.at_level(logging.WARNING):
        table = corpus.index()
    assert "1 of 60 images cannot be read and are left out: dog/007.png" in caplog.text
    assert len(table) == 59 and "dog/007.png" not in set(table["key"])
    facts = corpus.facts(table)
    assert facts["num_unreadable"] == 1 and facts["unreadable"][0].startswith("dog/007.png")
    table.to_parquet(tmp_path / "table.parquet")
    assert corpus.facts(pd.read_parquet(tmp_path / "table.parquet")) == facts


def test_a_file_that_metadata_name_and_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    write_metadata(tmp_path / "metadata.csv", rows_of(24))
    (tmp_path / "x/5.png").unlink()
    with pytest.raises(DataError, match=r"1 of 24 images cannot be read.*x/5\.png: is missing"):
        ImageFolder(str(tmp_path)).index()


def test_images_in_train_and_test_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_split_folders(tmp_path)
    (root / "test/cat/1.png").write_bytes((root / "train/dog/0.png").read_bytes())
    with pytest.raises(DataError, match=r"1 of 4 test images are in train.*'test/cat/1\.png'; at most 1\.0%"):
        ImageFolder(str(root)).index()
    corpus = ImageFolder(str(root), max_shared_share=0.25)
    with caplog.at_level(logging.WARNING):
        table = corpus.index()
    assert "1 of 4 test images are in train" in caplog.text
    assert corpus.facts(table)["num_shared"] == {
        "train/validation": 0, "train/test": 1, "validation/test": 0
    }  # fmt: skip


def refused(root: Path, **settings: Any) -> str:
    with pytest.raises(DataError) as caught:
        ImageFolder(str(root), **settings).check()
    return str(caught.value)


def test_a_path_that_is_not_a_folder_of_images_is_refused(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "nowhere")
    assert "is not a folder" in refused(write_png(tmp_path / "a.png", 1))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").write_text("x")
    assert "has no images; files must end in .jpg" in refused(tmp_path / "empty")


def test_one_class_and_a_class_of_one_image_are_refused(tmp_path: Path) -> None:
    for number in range(40):
        write_png(tmp_path / f"cat/{number}.png", number)
    assert "at least two classes; it has only 'cat'" in refused(tmp_path)
    write_png(tmp_path / "dog/0.png", 99)
    assert "1 classes of task 'class' have one image: 'dog'" in refused(tmp_path)


def test_an_image_outside_of_the_classes_is_refused(tmp_path: Path) -> None:
    write_png(write_class_folders(tmp_path) / "1.png", 99)
    assert "1.png: is in no folder of a class" in refused(tmp_path)


def test_a_split_without_labels_is_refused(tmp_path: Path) -> None:
    rows = [{**row, "label": None if row["split"] == "test" else row["label"]} for row in rows_of(24)]
    write_metadata(tmp_path / "metadata.jsonl", rows)
    assert "test has no labels of task 'class' and another split has" in refused(tmp_path)


def test_a_class_that_is_tested_and_not_in_train_is_refused(tmp_path: Path) -> None:
    root = write_split_folders(tmp_path)
    for number in range(2):
        write_png(root / f"test/emu/{number}.png", 500 + number)
    assert "1 classes of task 'class' are in another split and not in train: 'emu'" in refused(root)


def test_a_split_without_images_is_refused(tmp_path: Path) -> None:
    write_class_folders(tmp_path, 2)
    assert "test would have no images: there are 4 in all" in refused(tmp_path)


def test_one_key_for_two_images_is_refused(tmp_path: Path) -> None:
    rows = rows_of(24)
    write_metadata(tmp_path / "metadata.csv", [*rows, rows[0]])
    assert "1 keys stand for more than one image: 'x/0.png'" in refused(tmp_path)


def test_a_unit_in_two_splits_is_refused(tmp_path: Path) -> None:
    write_metadata(tmp_path / "metadata.csv", [{**row, "unit": "u"} for row in rows_of(24)])
    assert "1 units have images in more than one split: 'u'" in refused(tmp_path)


def test_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    write_metadata(tmp_path / "metadata.csv", rows_of(24))
    assert "has no column 'caption' for the caption" in refused(tmp_path, columns={"caption": "caption"})


def test_metadata_with_faults_are_refused(tmp_path: Path) -> None:
    write_metadata(tmp_path / "metadata.csv", rows_of(4))
    (tmp_path / "metadata.jsonl").write_text("{}")
    assert "has metadata.csv and metadata.jsonl" in refused(tmp_path)
    (tmp_path / "metadata.csv").unlink()
    assert "has no column 'file_name'" in refused(tmp_path) or "has no rows" in refused(tmp_path)
    (tmp_path / "metadata.jsonl").write_text('{"file_name": ""}')
    assert "row 1 has no file_name" in refused(tmp_path)
    (tmp_path / "metadata.jsonl").write_text("{")
    assert "cannot be read" in refused(tmp_path)
    (tmp_path / "metadata.jsonl").write_text("\n")
    assert "has no rows" in refused(tmp_path)


def test_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="max_unreadable_share"):
        ImageFolder(str(tmp_path), max_unreadable_share=2)
    with pytest.raises(ConfigError, match="split_shares"):
        ImageFolder(str(tmp_path), split_shares={"train": 1.0})


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path)
    try:
        (root / "cat/001.png").rename(os.fsdecode(os.fsencode(root / "cat") + b"/\xff.png"))
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    assert "not UTF-8" in refused(root)


def test_the_schema_of_image_tables_names_what_is_wrong(tmp_path: Path) -> None:
    table = ImageFolder(str(write_class_folders(tmp_path))).index()
    faults = {
        "captions": table.assign(captions="a cat"),
        "no unit in two splits": table.assign(unit="u"),
        "label.class": table.assign(**{"label.class": -2}),
        "key": table.assign(key="k"),
        "labels": table.assign(labels=1),
        "split": table.assign(split="dev"),
    }
    for fault, wrong in faults.items():
        with pytest.raises(DataError, match=f"(?s)table CorpusImages.*{fault}"):
            CorpusImages.validate(wrong)


@pytest.mark.parametrize("name", ["captions.json", "annotations/captions_train2017.json", "labels.csv"])
def test_captions_in_a_form_that_is_not_read_are_named(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_class_folders(tmp_path / "pets")
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text('{"annotations": []}')
    assert not ImageFolder(str(root)).has_captions()
    assert f"{root}: {name} is not read: captions and labels must be in one of metadata.csv" in caplog.text


def test_a_metadata_file_beside_other_files_is_not_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_metadata(tmp_path / "metadata.csv", rows_of())
    (tmp_path / "notes.json").write_text("{}")
    assert ImageFolder(str(tmp_path)).has_captions()
    assert "is not read" not in caplog.text
