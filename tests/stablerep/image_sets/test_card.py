"""The data set card of an image set."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from stablerep.image_sets.card import data_set_card, size_category
from stablerep.image_sets.stored_set import read_image_set, write_image_set
from stablerep.storage.digests import faults_of_files
from tests.stablerep.image_sets.sets import rendered

RULES = [{"name": "all_there", "success": True}, {"name": "no_copy", "success": False}]
GATE = {"success": False, "rules": RULES}
ALIGNMENT = {"mean": 0.6194, "threshold": 0.48, "num_rejected_misaligned": 81, "scorer_id": "a-01"}


def head_of(card: str) -> dict[str, object]:
    return yaml.safe_load(card.split("---\n")[1])


def test_a_card_is_written_with_a_set_and_has_its_facts(tmp_path: Path) -> None:
    made = rendered(tmp_path)
    folder = tmp_path / "finished"
    folder.mkdir()
    write_image_set(folder, replace(made, facts={**made.facts, "gate": GATE, "alignment": ALIGNMENT}))
    card = (folder / "README.md").read_text()
    assert head_of(card) == {
        "pretty_name": "rendered",
        "size_categories": ["n<1K"],
        "task_categories": ["image-feature-extraction", "text-to-image"],
        "tags": ["stablerep"],
    }
    for line in (
        "| source | rendered |",
        "| images per caption | 2 |",
        "| test | CC0-1.0 | 3 |",
        "The gate on images failed: 1 of 2 rules hold. Broken: no_copy. Mean alignment of image and caption "
        "0.619 by scorer a-01; 81 images below 0.480 were rejected.",
    ):
        assert line in card.splitlines(), line
    assert "manifest.parquet" not in card and "model drew" not in card
    assert not faults_of_files(folder)
    (folder / "README.md").write_text("changed")
    assert faults_of_files(folder), "the digests hold the card, too"
    (folder / "README.md").write_text(card)
    assert read_image_set(folder, tmp_path / "rendered").name == "rendered"


def test_drawn_images_are_called_so(tmp_path: Path) -> None:
    made = rendered(tmp_path)
    generation = {"generator_id": "g-02", "num_truncated": 0, "num_rejected_unsafe": None}
    drawn = replace(
        made, source="generated", parts={"rendered": "generated"}, facts={"generation": generation}
    )
    card = data_set_card(drawn)
    assert head_of(card)["tags"] == ["stablerep", "synthetic"]
    assert "A model drew them: none is a photograph." in card
    assert "| generator id | g-02 |" in card and "unsafe" not in card
    assert "with its errors and biases" in card
    mixed = replace(drawn, source="mixture", parts={"rendered": "generated", "real": "corpus"})
    assert "Its parts rendered were drawn by a model; the others were not." in data_set_card(mixed)


def test_images_without_captions_are_no_text_to_image_data(tmp_path: Path) -> None:
    made = rendered(tmp_path)
    bare = replace(made, captions=made.captions.assign(text=""))
    assert head_of(data_set_card(bare))["task_categories"] == ["image-feature-extraction"]


@pytest.mark.parametrize(
    ("number", "category"),
    [(999, "n<1K"), (1000, "1K<n<10K"), (99_999, "10K<n<100K"), (10**6, "1M<n<10M"), (10**7, "n>10M")],
)
def test_sizes_have_the_hubs_names(number: int, category: str) -> None:
    assert size_category(number) == category
