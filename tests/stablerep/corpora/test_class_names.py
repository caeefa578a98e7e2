"""Captions name classes by whole words, in singular or plural, and the longest name wins."""

import pytest

from stablerep.corpora.class_names import classes_named, plurals_of
from stablerep.corpora.corpus import Task, share_naming_classes

CLASSES = ("dog", "hot dog", "puppy", "glass", "glasses", "polar_bear", "dog house")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("A Dog, asleep.", 0),
        ("two dogs and a dog", 0),
        ("a hot dog", 1),
        ("hot dogs on a plate", 1),
        ("three puppies", 2),
        ("a pair of glasses", 4),
        ("polar bears", 5),
        ("a dog house", 6),
        ("a dogged cat", None),
        ("a dog and a puppy", None),
        ("a dog eats a hot dog", None),
        ("", None),
    ],
)
def test_a_text_names_a_class(text: str, label: int | None) -> None:
    assert classes_named([text], CLASSES) == [label]


def test_a_plural_of_two_classes_names_neither() -> None:
    assert classes_named(["two axes", "an axe"], ("ax", "axe")) == [None, 1]


def test_plurals() -> None:
    assert [plurals_of(name)[0] for name in ("pony", "key", "box", "cat")] == [
        "ponies",
        "keys",
        "boxes",
        "cats",
    ]


def test_the_share_of_texts_that_name_exactly_one_class() -> None:
    task = Task("class", CLASSES)
    assert share_naming_classes(["a dog", "a cat", "a dog, a puppy", "glasses"], task) == 0.5
    assert share_naming_classes([], task) == 0
