"""Where a run cannot write is known before its first node."""

from pathlib import Path

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

from pipelines.datasets import EncoderDataset, FolderDataset, SecondsDataset, TextDataset
from pipelines.run.output_checks import check_outputs
from stablerep.errors import DataError
from tests.pipelines.unprivileged import folder_of_nobody

GRAPH = Pipeline([node(lambda: (1, 2, 3), None, ["report", "encoder", "memory"], name="make")])


def catalog_in(folder: Path) -> DataCatalog:
    return DataCatalog(
        {
            "report": TextDataset(str(folder / "reports" / "report.html")),
            "encoder": EncoderDataset(str(folder / "encoders" / "a" / "seed_0")),
            "memory": MemoryDataset(),
            "stage_seconds": SecondsDataset(str(folder / "seconds" / "seconds.json")),
        }
    )


def test_folders_that_can_be_made_pass_and_are_not_made(tmp_path: Path) -> None:
    check_outputs(GRAPH, catalog_in(tmp_path / "data"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["reports", "encoders", "encoders/a", "seconds"])
def test_a_read_only_folder_is_named(place: str) -> None:
    with folder_of_nobody() as folder:
        (folder / place).mkdir(parents=True)
        (folder / place).chmod(0o555)
        with pytest.raises(DataError, match=f"{folder / place}: cannot be written"):
            check_outputs(GRAPH, catalog_in(folder))


@pytest.mark.parametrize("place", ["reports", "encoders"])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / place).write_text("x")
    with pytest.raises(DataError, match=f"{tmp_path / place}: not a folder; must be one"):
        check_outputs(GRAPH, catalog_in(tmp_path))


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "reports").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match="reports: not a folder"):
        check_outputs(GRAPH, catalog_in(tmp_path))


@pytest.mark.parametrize("metadata", [{"dvc": "untracked"}, None])
def test_a_read_only_folder_of_checkpoints_is_named_and_one_that_is_only_read_is_not(
    metadata: dict[str, str] | None,
) -> None:
    graph = Pipeline([node(lambda work: 1, "work", "memory", name="train")])
    with folder_of_nobody() as folder:
        (folder / "work").mkdir()
        (folder / "work").chmod(0o555)
        catalog = catalog_in(folder)
        catalog["work"] = FolderDataset(str(folder / "work"), metadata)
        if metadata is None:
            check_outputs(graph, catalog)
        else:
            with pytest.raises(DataError, match=f"{folder / 'work'}: cannot be written, and work is"):
                check_outputs(graph, catalog)


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "reports" / "report.html").mkdir(parents=True)
    with pytest.raises(DataError, match=r"report\.html: a folder; must be a file, because report is"):
        check_outputs(GRAPH, catalog_in(tmp_path))


def test_a_file_in_the_place_of_an_encoder_is_named(tmp_path: Path) -> None:
    (tmp_path / "encoders" / "a").mkdir(parents=True)
    (tmp_path / "encoders" / "a" / "seed_0").write_text("x")
    with pytest.raises(DataError, match="seed_0: not a folder; must be one, because encoder is"):
        check_outputs(GRAPH, catalog_in(tmp_path))
