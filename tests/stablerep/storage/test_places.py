"""What stands in the way of a file or a folder."""

from pathlib import Path

import pytest

from stablerep.errors import DataError
from stablerep.storage.places import check_kind, nearest_existing


def test_the_nearest_path_that_exists_is_the_path_itself_or_one_above_it(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    assert nearest_existing(tmp_path) == tmp_path
    assert nearest_existing(tmp_path / "a" / "b") == tmp_path
    assert nearest_existing(tmp_path / "link" / "b") == tmp_path / "link"


@pytest.mark.parametrize("is_folder", [True, False])
def test_what_is_of_the_right_kind_or_not_there_passes(tmp_path: Path, is_folder: bool) -> None:
    check_kind(tmp_path / "a" / "b", "x", is_folder=is_folder)
    there = tmp_path / "there"
    there.mkdir() if is_folder else there.touch()
    check_kind(there, "x", is_folder=is_folder)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_file_above_the_place_is_in_the_way(tmp_path: Path, is_folder: bool) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(DataError, match=rf"^{tmp_path}/a: not a folder; must be one, because x is written"):
        check_kind(tmp_path / "a" / "b" / "c", "x", is_folder=is_folder)


def test_the_other_kind_in_the_place_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="file: not a folder; must be one"):
        check_kind(tmp_path / "file", "x", is_folder=True)
    with pytest.raises(DataError, match=r"folder: a folder; must be a file, because x is .* Restore it\."):
        check_kind(tmp_path / "folder", "x", is_folder=False, advice="Restore it.")
