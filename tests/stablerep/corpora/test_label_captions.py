"""Captions of labelled images from templates: which image gets which, and what is refused."""

from pathlib import Path

import pytest

from stablerep.corpora.image_folder import ImageFolder
from stablerep.curation.settings import Reading
from stablerep.errors import ConfigError, DataError
from tests.stablerep.corpora.images import write_class_folders, write_png

TEMPLATES = ["a photo of a {class}", "the {class}"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_class_folders(tmp_path / "images")


def captions(folder: Path, **settings: object) -> dict[str, list[str]]:
    table = ImageFolder(str(folder), **settings).listing()  # type: ignore[arg-type]
    return dict(zip(table["key"], table["captions"], strict=True))


def test_each_image_gets_a_template_with_its_class(folder: Path) -> None:
    found = captions(folder, caption_templates=TEMPLATES)
    for key, texts in found.items():
        assert texts in ([f"a photo of a {Path(key).parent}"], [f"the {Path(key).parent}"])
    assert len({text for texts in found.values() for text in texts}) == 4
    assert ImageFolder(str(folder), caption_templates=TEMPLATES).has_captions()
    assert not ImageFolder(str(folder)).has_captions()


def test_other_images_change_no_caption(folder: Path) -> None:
    before = captions(folder, caption_templates=TEMPLATES)
    write_png(folder / "cat" / "000a.png", 5000)
    after = captions(folder, caption_templates=TEMPLATES)
    assert len(after) == len(before) + 1
    assert {key: after[key] for key in before} == before


def test_the_captions_of_train_are_curated_and_name_their_class(folder: Path) -> None:
    corpus = ImageFolder(str(folder), caption_templates=TEMPLATES)
    in_train = corpus.listing()["split"].eq("train").sum()
    read = [text for batch in corpus.caption_batches(Reading()) for text in batch["caption"]]
    assert len(read) == in_train
    names = corpus.tasks()["class"].classes
    labels = corpus.labels_of(read)["class"]
    assert all(names[label] in text for label, text in zip(labels, read, strict=True) if label is not None)
    assert None not in labels


def test_templates_stand_in_a_file(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "templates.txt"
    file.write_text("# of pets\na photo of a {class}\n\nthe {class}\n")
    assert captions(folder, caption_templates=str(file)) == captions(folder, caption_templates=TEMPLATES)


def test_own_captions_stay_and_unlabelled_images_get_none(tmp_path: Path) -> None:
    lines = ["file_name,text,label,split"]
    for number, (text, label) in enumerate([("my cat", "cat"), ("", "dog"), ("", ""), ("", "cat")] * 6):
        write_png(tmp_path / f"{number}.png", number)
        lines.append(f"{number}.png,{text},{label},{('train', 'val', 'test')[number // 8]}")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    found = captions(tmp_path, caption_templates=["the {class}"])
    assert [found[f"{number}.png"] for number in range(4)] == [["my cat"], ["the dog"], [], ["the cat"]]


def test_a_template_may_name_one_of_several_tasks(tmp_path: Path) -> None:
    lines = ["file_name,species,colour,split"]
    for number in range(24):
        write_png(tmp_path / f"{number}.png", number)
        split = ("train", "val", "test")[number // 8]
        lines.append(f"{number}.png,{('cat', 'dog')[number % 2]},{('red', 'blue')[number // 2 % 2]},{split}")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    columns = {"label": {"species": "species", "colour": "colour"}}
    found = captions(tmp_path, columns=columns, caption_templates=["a {colour} {species}"])
    assert [found[f"{n}.png"] for n in range(3)] == [["a red cat"], ["a red dog"], ["a blue cat"]]


@pytest.mark.parametrize("template", ["a photo", "a {kind}", "a {class", "a {class} in a {place}", "{}"])
def test_a_template_that_names_no_task_is_refused(folder: Path, template: str) -> None:
    with pytest.raises(ConfigError, match=r"corpus\.caption_templates: got .*The tasks are: \{class\}"):
        captions(folder, caption_templates=["a {class}", template])


def test_templates_for_images_without_labels_are_refused(tmp_path: Path) -> None:
    for number in range(12):
        write_png(tmp_path / f"{number}.png", number)
    with pytest.raises(ConfigError, match="no labels"):
        captions(tmp_path, caption_templates=["a {class}"])


def test_no_templates_and_a_missing_file_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="has no template"):
        captions(folder, caption_templates=[])
    with pytest.raises(DataError, match=r"nowhere\.txt: cannot be read"):
        captions(folder, caption_templates="nowhere.txt")
