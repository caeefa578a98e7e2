"""A finished set's tables on the disk."""

import json
from pathlib import Path

import pandas as pd
import pytest

from stablerep.errors import DataError
from stablerep.image_sets.image_set import describe
from stablerep.image_sets.stored_set import read_image_set, write_image_set
from stablerep.storage.digests import DIGESTS_FILE
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


def saved(folder: Path) -> Path:
    write_image_set(folder, rendered(folder))
    return folder


@pytest.mark.parametrize(
    "text",
    ["[]", "5", "null", "{}", '{"name": 5}', "[" * 100_000],
    ids=lambda text: text[:20],
)
def test_a_description_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    (without_digests(tmp_path) / "image_set.json").write_text(text)
    with pytest.raises(DataError, match=r"^image_set\.json: "):
        read_image_set(tmp_path, tmp_path)


def test_a_description_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path) / "image_set.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(DataError, match=r"image_set\.json is not the file that SHA256SUMS records"):
        read_image_set(tmp_path, tmp_path)


@pytest.mark.parametrize("name", ["images", "captions"])
def test_a_table_that_is_not_the_one_that_was_saved_is_refused(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path) / f"{name}.parquet"
    pd.read_parquet(path).iloc[:2].to_parquet(path, index=False)
    with pytest.raises(DataError, match=rf"{name}\.parquet is not the file that SHA256SUMS records"):
        read_image_set(tmp_path, tmp_path)


def without_digests(folder: Path) -> Path:
    """Saves a set as it was saved before digests were kept."""
    (saved(folder) / DIGESTS_FILE).unlink()
    return folder


def test_a_set_that_was_saved_before_digests_were_kept_is_read_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = rendered(tmp_path)
    pd.testing.assert_frame_equal(read_image_set(saved(tmp_path), tmp_path).images, made.images)
    assert not caplog.text
    pd.testing.assert_frame_equal(read_image_set(without_digests(tmp_path), tmp_path).images, made.images)
    assert "no SHA256SUMS; whether its files changed is not known" in caplog.text


def test_a_set_whose_description_has_digests_is_read(tmp_path: Path) -> None:
    path = without_digests(tmp_path) / "image_set.json"
    described = json.loads(path.read_text()) | {"digests": {"images.parquet": "0" * 32}, "digest": "0" * 32}
    path.write_text(json.dumps(described))
    assert read_image_set(tmp_path, tmp_path).name == "rendered"


def test_an_unknown_source_is_refused(tmp_path: Path) -> None:
    path = without_digests(tmp_path) / "image_set.json"
    path.write_text(path.read_text().replace('"source": "rendered"', '"source": "magic"'))
    with pytest.raises(DataError, match="'magic'"):
        read_image_set(tmp_path, tmp_path)


def test_images_whose_captions_are_not_there_are_refused(tmp_path: Path) -> None:
    path = without_digests(tmp_path) / "captions.parquet"
    pd.read_parquet(path).iloc[1:].to_parquet(path, index=False)
    with pytest.raises(
        DataError, match=r"captions\.parquet: lacks the captions of 2 images, such as caption"
    ):
        read_image_set(tmp_path, tmp_path)


def test_images_of_an_unknown_part_are_refused(tmp_path: Path) -> None:
    path = without_digests(tmp_path) / "images.parquet"
    pd.read_parquet(path).assign(part="other").to_parquet(path, index=False)
    with pytest.raises(DataError, match=r"images\.parquet: has images of part 'other'"):
        read_image_set(tmp_path, tmp_path)


def test_a_generated_set_without_its_manifest_is_refused(tmp_path: Path) -> None:
    path = without_digests(tmp_path) / "image_set.json"
    path.write_text(path.read_text().replace('"source": "rendered"', '"source": "generated"'))
    with pytest.raises(DataError, match=r"manifest\.parquet: is missing"):
        read_image_set(tmp_path, tmp_path)
