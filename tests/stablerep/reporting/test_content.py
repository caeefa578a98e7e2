"""What a report is made of."""

import re
from pathlib import Path

import pandas as pd

import stablerep.reporting
from stablerep.reporting.content import evaluation_set_facts, image_set_facts
from tests.stablerep.reporting.content import make_content


def test_captions_of_an_image_set_are_those_with_text_and_images():
    images = pd.DataFrame({"caption_id": ["a", "a", "b", "c"]})
    captions = pd.DataFrame({"caption_id": ["a", "b", "c", "d"], "text": ["one", "two", "", "four"]})
    facts = image_set_facts("rendered", images, captions, {"seed": 0}, {"source": "rendered"})
    assert (facts.num_images, facts.num_captions) == (4, 2)
    assert facts.is_reference
    assert not image_set_facts("generated", images, captions, {}, {}).is_reference
    assert not image_set_facts("rendered", images.tail(1), captions.head(1), {}, {}).num_captions


def test_facts_of_an_image_table_are_taken_over():
    facts = evaluation_set_facts(
        {
            "num_images_per_split": {"train": 6, "validation": 2, "test": 2},
            "given_splits": ["train", "test"],
            "num_units": 10,
            "num_unreadable": None,
            "num_shared": {"train/test": 0},
            "num_captions": 0,
        },
        {"species": 3},
    )
    assert facts.made_splits == ["validation"]
    assert facts.unit == "images"
    assert facts.num_classes == {"species": 3}


def test_images_of_one_unit_make_groups():
    zoo = make_content().evaluation_sets["zoo"]
    assert zoo.num_units < sum(zoo.num_images.values())
    assert zoo.unit == "groups of images"


def test_encoders_that_were_not_trained_have_no_source():
    content = make_content()
    assert content.source_of("none") == "none"
    assert content.source_of("half") == "mixture"


def test_the_package_does_not_know_what_images_show():
    folder = Path(stablerep.reporting.__file__).parent
    word = re.compile(r"(?<![a-z])(digit|hand|ink|scene)s?(?![a-z])|digit_scenes", re.IGNORECASE)
    for path in [*folder.rglob("*.py"), *folder.rglob("*.j2")]:
        assert not word.findall(path.read_text(encoding="utf-8")), path.name
