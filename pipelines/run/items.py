"""The items of an experiment as Kedro knows them: names of namespaces and of the datasets that rooms share.

Kedro keeps dots for what only one namespace knows, so datasets that other rooms read have none.
"""

import re
from collections.abc import Iterator
from typing import Any

Parameters = dict[str, Any]

_ENCODER = re.compile(r"encoder_of_(?P<arm>.+)_seed_(?P<seed>\d+)")


def image_set_namespace(name: str) -> str:
    """Returns the namespace of an image set, as `kedro run --namespaces` takes it."""
    return f"image_sets.{name}"


def image_set_of(name: str) -> str:
    """Returns the dataset of a finished image set."""
    return f"image_set_of_{name}"


def evaluation_set_namespace(name: str) -> str:
    """Returns the namespace of an evaluation set."""
    return f"evaluation_sets.{name}"


def evaluation_set_of(name: str) -> str:
    """Returns the dataset of an evaluation set's table."""
    return f"evaluation_set_of_{name}"


def arm_namespace(arm: str, seed: int) -> str:
    """Returns the namespace of an arm's training with one seed; `training.<arm>` is that of all its seeds."""
    return f"training.{arm}.seed_{seed}"


def encoder_of(arm: str, seed: int) -> str:
    """Returns the dataset of the encoder that an arm gives with a seed."""
    return f"encoder_of_{arm}_seed_{seed}"


def pretrained(what: str, name: str) -> str:
    """Returns the dataset of a part of what the recipe of a generator makes, such as its `folder`."""
    return f"{what}_of_pretrained_{name}"


def is_encoder(dataset: str) -> bool:
    """Says whether a dataset is an arm's encoder."""
    return _ENCODER.fullmatch(dataset) is not None


def encoder_names(parameters: Parameters) -> Iterator[str]:
    """Yields the datasets of all encoders of an experiment, seed by seed."""
    for seed in parameters["seeds"]:
        for arm in parameters["arms"]:
            yield encoder_of(arm, seed)


def arm_and_seed(dataset: str) -> tuple[str, int]:
    """Returns the arm and the seed of an encoder's dataset."""
    found = _ENCODER.fullmatch(dataset)
    if found is None:
        raise ValueError(f"dataset {dataset!r}: not the encoder of an arm")
    return found["arm"], int(found["seed"])


def key_of_corpus(image_set: Parameters) -> str:
    """Returns the key of the corpus whose real images an image set has, or by which it is rendered.

    Args:
        image_set: its entry.
    """
    named = image_set.get("evaluation_set")
    return f"evaluation_sets.{named}" if named else "corpus"


def needs_captions(parameters: Parameters) -> bool:
    """Says whether some image set is made of captions, so that these are curated and checked first."""
    return any(each["source"] in ("generated", "rendered") for each in parameters["image_sets"].values())


def needs_corpus_images(parameters: Parameters) -> bool:
    """Says whether the corpus's own images are used: in an image set, or as an evaluation set."""
    sets = parameters["image_sets"].values()
    used = any(each["source"] == "corpus" and not each.get("evaluation_set") for each in sets)
    return used or parameters["corpus"] in parameters["evaluation_sets"].values()


def is_generated(parameters: Parameters, name: str) -> bool:
    """Says whether an image set is drawn by the generator."""
    return parameters["image_sets"][name]["source"] == "generated"
