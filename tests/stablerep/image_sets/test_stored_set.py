"""A finished set's tables on the disk."""

from pathlib import Path

import pandas as pd
import pytest

from stablerep.errors import DataError
from stablerep.image_sets.image_set import describe
from stablerep.image_sets.stored_set import read_image_set, write_image_set
from tests.stablerep.image_sets.sets import rendered


def test_a_set_comes_back_as_it_was_written(tmp_path: Path) -> None:
    made = rendered(tmp_path)
    (tmp_path / "tables").mkdir()
    write_image_set(tmp_path / "tables", made)
    back = read_image_set(tmp_path / "tables", made.folder)
    pd.testing.assert_frame_equal(back.images, made.images)
    pd.testing.assert_frame_equal(back.captions, made.captions)
    assert (back.name, back.source, back.parts, back.facts) == (
        made.name, made.source, made.parts, made.facts,
    )  # fmt: skip
    assert describe(back) == "image set rendered (rendered): 6 images of 3 captions"


def test_a_table_that_is_not_as_its_schema_says_is_refused(tmp_path: Path) -> None:
    made = rendered(tmp_path)
    made.images.loc[1, "image_id"] = made.images.loc[0, "image_id"]
    with pytest.raises(DataError, match="ImageSetImages"):
        write_image_set(tmp_path, made)


def test_an_unknown_source_is_refused(tmp_path: Path) -> None:
    write_image_set(tmp_path, rendered(tmp_path))
    described = (tmp_path / "image_set.json").read_text()
    (tmp_path / "image_set.json").write_text(described.replace('"source": "rendered"', '"source": "magic"'))
    with pytest.raises(DataError, match="'magic'"):
        read_image_set(tmp_path, tmp_path)
