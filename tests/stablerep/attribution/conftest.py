"""A small image set, made by the miniature generator of the generation room's tests."""

import importlib.util
from pathlib import Path

import pytest

from stablerep.generation.image_sets.image_set import ImageSetRequest, make_image_set

# by path: test folders are no packages
_spec = importlib.util.spec_from_file_location(
    "generation_conftest", Path(__file__).parents[1] / "generation" / "conftest.py"
)
_generation = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_generation)
tiny_generator = _generation.tiny_generator
settings = _generation.settings
captions_of = _generation.captions_of

TEXTS = ("a nine", "a red two", "a three", "a handwritten five & a <four>")


@pytest.fixture(scope="session")
def made_set(tiny_generator, tmp_path_factory):
    """Returns a function's worth of work, done once: the folder of a made image set."""
    store = tmp_path_factory.mktemp("set") / "images"
    captions = _generation.captions_of.__wrapped__()(TEXTS).assign(source=["one", "two", "one", "one"])
    chosen = _generation.settings.__wrapped__()(batch_size=1)
    make_image_set(ImageSetRequest(captions, chosen, tiny_generator, store, 0))
    return store


@pytest.fixture
def store(made_set, tmp_path):
    """Returns a copy of the image set, to be changed."""
    import shutil

    return Path(shutil.copytree(made_set, tmp_path / "images"))


@pytest.fixture
def image_id():
    """Returns the id of the second image of the first caption."""
    from stablerep.caption_ids import caption_id_of

    return f"{caption_id_of(TEXTS[0])}.1"
