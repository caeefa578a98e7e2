"""What a node writes is whole: no kill and no full disk destroys what was there before."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import polars.testing
import pytest
import yaml
from kedro.framework.project import configure_project
from kedro.io import DataCatalog, DatasetError
from kedro.io.core import parse_dataset_definition
from parse import parse

import pipelines.datasets
from pipelines.datasets import WholeFileDataset
from pipelines.pipeline_registry import register_pipelines
from pipelines.run.causes import first_cause
from pipelines.run.makers import fault_of_a_file
from stablerep.errors import DataError
from tests.pipelines.dying_saves import AFTER, FAULTS, SAMPLES, Saver

ROOT = Path(__file__).parents[2]
CATALOG = yaml.safe_load((ROOT / "conf/base/catalog.yml").read_text(encoding="utf-8"))
# in the catalog and written by nodes, but to no disk: handed on in memory
IN_MEMORY = {
    "kedro.io.MemoryDataset": {"training.{arm}.seed_{seed}.images"},
    "pipelines.datasets.WithWorkFolderDataset": {"curation"},
}
# folders that a node fills itself, file by file: an interrupted training goes on from its own checkpoints
FILLED = {"pipelines.datasets.FolderDataset": {"folder_of_pretrained_{generator}", "scorer_folder"}}
EXEMPT = IN_MEMORY | FILLED
# hooks write it, after each node
OF_HOOKS = {"stage_seconds"}


def written_entries() -> dict[str, str]:
    """Returns the type of every entry of the catalog that a node of any pipeline, or a hook, writes."""
    outputs = {name for pipeline in register_pipelines().values() for name in pipeline.all_outputs()}
    return {
        entry: config["type"]
        for entry, config in CATALOG.items()
        if entry in OF_HOOKS or any(parse(entry, name) for name in outputs)
    }


def test_every_dataset_that_a_node_writes_is_whole_or_in_memory() -> None:
    entries = written_entries()
    assert len(entries) > 30
    bare = {
        entry: path
        for entry, path in entries.items()
        if entry not in EXEMPT.get(path, ())
        and not issubclass(parse_dataset_definition({"type": path})[0], WholeFileDataset)
    }
    assert bare == {}


def test_every_type_that_is_written_is_tried_here() -> None:
    written = {path.rsplit(".", 1)[1] for path in written_entries().values() if path not in EXEMPT}
    assert written == set(SAMPLES)


@pytest.fixture(scope="module")
def saver() -> Iterator[Saver]:
    started = Saver()
    yield started
    started.close()


def dataset_in(folder: Path, kind: str) -> tuple[WholeFileDataset, Path]:
    dataset = getattr(pipelines.datasets, kind)(str(folder / SAMPLES[kind][0]))
    return dataset, dataset._filepath


def assert_version(kind: str, folder: Path, version: int) -> None:
    """Fails unless what is read back is the sample of the version."""
    dataset, path = dataset_in(folder, kind)
    if kind == "FigureDataset":  # written, never read
        expected = folder.with_name(f"expected-{version}.png")
        pipelines.datasets.FigureDataset(str(expected)).save(SAMPLES[kind][1](version))
        assert path.read_bytes() == expected.read_bytes()
        return
    found: Any = dataset.load()
    sample = SAMPLES[kind][1](version)
    if kind == "ParquetDataset":
        pd.testing.assert_frame_equal(found, sample)
        assert found.attrs == sample.attrs
    elif kind == "LazyParquetDataset":
        polars.testing.assert_frame_equal(found.collect(), sample.collect())
    elif kind == "ImageDataset":
        assert (found.size, found.tobytes()) == (sample.size, sample.tobytes())
    elif kind == "EncoderDataset":
        assert found.weights["w"].tolist() == sample.weights["w"].tolist()
        assert found.text.weights["t"].tolist() == sample.text.weights["t"].tolist()
        assert (found.text.sizes, found.text.tokenizer) == (sample.text.sizes, sample.text.tokenizer)
        pd.testing.assert_frame_equal(found.history, sample.history)
    elif kind == "ImageSetDataset":
        pd.testing.assert_frame_equal(found.images, sample.images)
        assert (found.facts, found.folder) == (sample.facts, path.parent)
    elif kind == "RunRecordDataset":
        pd.testing.assert_frame_equal(found.metrics, sample.metrics)
        assert (found.image_sets, found.headline) == (sample.image_sets, sample.headline)
    else:
        assert found == sample


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_a_save_that_is_killed_or_has_no_space_leaves_what_was_there(
    kind: str, fault: str, saver: Saver, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    dataset, path = dataset_in(folder, kind)
    sample = SAMPLES[kind][1]
    dataset.save(sample(1))
    status, message = saver.save(kind, folder, 2, fault)
    if fault == "disk full":
        assert status == 0
        assert "DataError" in message
        assert f"{path}: cannot be written" in message
        assert list(path.parent.iterdir()) == [path]
    else:
        assert status < 0, f"the save was not killed: {message}"
    assert_version(kind, folder, 1)
    dataset.save(sample(3))
    assert_version(kind, folder, 3)
    assert list(path.parent.iterdir()) == [path], "what the killed save left is still there"


@pytest.mark.parametrize("kind", ["EncoderDataset", "ImageSetDataset"])
def test_a_folder_is_whole_after_kills_at_any_moment_and_the_next_save_leaves_nothing_beside(
    kind: str, saver: Saver, tmp_path: Path
) -> None:
    dataset, path = dataset_in(tmp_path, kind)
    sample = SAMPLES[kind][1]
    dataset.save(sample(0))
    killed, left, before = 0, 0, 0
    for version, share in enumerate([0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0], 1):
        status, _ = saver.save(kind, tmp_path, version, f"{AFTER}{share}")
        killed += status < 0
        left += len(list(path.parent.iterdir())) > 1
        before = version if is_version(kind, tmp_path, version) else before
        assert_version(kind, tmp_path, before)
    assert killed and left, "no kill came while the folder was written"
    dataset.save(sample(11))
    assert_version(kind, tmp_path, 11)
    assert list(path.parent.iterdir()) == [path], "what a killed save left is still there"


def is_version(kind: str, folder: Path, version: int) -> bool:
    try:
        assert_version(kind, folder, version)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_a_first_save_that_is_killed_leaves_nothing_under_the_name(
    kind: str, saver: Saver, tmp_path: Path
) -> None:
    dataset, path = dataset_in(tmp_path, kind)
    status, _ = saver.save(kind, tmp_path, 1, "killed while writing")
    assert status < 0
    assert not dataset.exists()
    dataset.save(SAMPLES[kind][1](2))
    assert list(path.parent.iterdir()) == [path]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "cut": lambda whole: whole[: len(whole) // 2],
    "garbage": lambda whole: b"\x00\xff\xfe" * 3000,
    "garbage in its middle": lambda whole: whole[:100] + b"\xff" * 200 + whole[300:],
}
# the file of a folder that is damaged
IN_FOLDER = {
    "EncoderDataset": "history.parquet",
    "ImageSetDataset": "images.parquet",
    "RunRecordDataset": "metrics.parquet",
}
# half a text is a text, and the middle of a lazy table is not read when it is loaded
NOT_SEEN = {
    ("TextDataset", "empty"),
    ("TextDataset", "cut"),
    ("LazyParquetDataset", "garbage in its middle"),
}


@pytest.mark.parametrize(
    ("kind", "damage"),
    sorted(set(itertools.product(set(SAMPLES) - {"FigureDataset"}, DAMAGES)) - NOT_SEEN),
)
def test_a_damaged_file_is_named_with_what_to_do(kind: str, damage: str, tmp_path: Path) -> None:
    dataset, path = dataset_in(tmp_path, kind)
    dataset.save(SAMPLES[kind][1](1))
    damaged = path / IN_FOLDER[kind] if kind in IN_FOLDER else path
    damaged.write_bytes(DAMAGES[damage](damaged.read_bytes()))
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    told = str(first_cause(caught.value, DataError))
    assert f"{path}: cannot be read as" in told
    assert "kedro run" in told or "Remove it" in told


@pytest.mark.parametrize("error", [TypeError, ValueError, AttributeError, KeyError])
@pytest.mark.parametrize("kind", sorted(set(SAMPLES) - {"FigureDataset"}))
def test_a_fault_of_the_code_that_reads_is_no_damage(
    kind: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, _ = dataset_in(tmp_path, kind)
    dataset.save(SAMPLES[kind][1](1))

    def fault(*_: Any) -> None:
        raise error("ours")

    monkeypatch.setattr(type(dataset), "_read", fault)
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert first_cause(caught.value, DataError) is None
    assert isinstance(caught.value.__cause__, error)


@pytest.mark.parametrize("kind", sorted(set(SAMPLES) - {"FigureDataset", "SecondsDataset"}))
def test_a_missing_file_is_missing_and_not_damaged(kind: str, tmp_path: Path) -> None:
    dataset, path = dataset_in(tmp_path, kind)
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert str(path) in str(caught.value.__cause__)


def test_a_lazy_table_damaged_in_its_middle_is_named_with_the_node_that_makes_it(tmp_path: Path) -> None:
    configure_project("pipelines")
    entry = {**CATALOG["caption_scores"], "filepath": str(tmp_path / "x.parquet")}
    catalog = DataCatalog.from_config({"caption_scores": entry})
    dataset, path = dataset_in(tmp_path, "LazyParquetDataset")
    dataset.save(SAMPLES["LazyParquetDataset"][1](1))
    path.write_bytes(DAMAGES["garbage in its middle"](path.read_bytes()))
    with pytest.raises(DatasetError) as caught:
        catalog.load("caption_scores")
    told = str(fault_of_a_file(caught.value))
    assert "dataset 'caption_scores', which node 'curate_captions' makes, is refused: parquet" in told


def test_a_lazy_table_that_fails_in_its_middle_leaves_the_file_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, path = dataset_in(tmp_path, "LazyParquetDataset")
    table = pl.LazyFrame({"caption_id": ["c-1", "c-2"]})
    dataset.save(table)
    kept = path.read_bytes()

    def full_disk(table: pl.LazyFrame) -> Iterator[pl.DataFrame]:
        yield table.collect()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stablerep.storage.lazy_tables.parts_of", full_disk)
    with pytest.raises(DatasetError, match="No space left on device"):
        dataset.save(table)
    assert path.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [path]


def test_an_address_is_refused_as_a_path() -> None:
    with pytest.raises(Exception, match="it must be a local path"):
        pipelines.datasets.JSONDataset("s3://bucket/x.json")


def test_an_image_of_an_unknown_format_is_refused(tmp_path: Path) -> None:
    dataset = pipelines.datasets.ImageDataset(str(tmp_path / "x.nosuch"))
    with pytest.raises(DatasetError, match=r"suffix '\.nosuch', which is no image format"):
        dataset.save(SAMPLES["ImageDataset"][1](1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["ParquetDataset", "LazyParquetDataset"])
def test_a_table_is_previewed_by_its_first_rows(kind: str, tmp_path: Path) -> None:
    dataset, _ = dataset_in(tmp_path, kind)
    dataset.save(SAMPLES[kind][1](1))
    previewed = dataset.preview(nrows=2)  # type: ignore[attr-defined]
    assert [row[0] for row in previewed["data"]] == ["c-1-0", "c-1-1"]
    assert previewed["columns"][0] == "caption_id"
    empty = SAMPLES[kind][1](1).head(0)
    dataset.save(empty)
    assert dataset.preview()["data"] == []  # type: ignore[attr-defined]


def test_kedro_viz_shows_a_table_as_a_table_and_json_as_json(tmp_path: Path) -> None:
    from kedro_viz.models.flowchart.node_metadata import DataNodeMetadata
    from kedro_viz.models.flowchart.nodes import GraphNode

    for kind, preview_type in (("ParquetDataset", "TablePreview"), ("JSONDataset", "JSONPreview")):
        dataset, _ = dataset_in(tmp_path / kind, kind)
        dataset.save(SAMPLES[kind][1](1))
        shown = GraphNode.create_data_node(kind, kind, None, set(), dataset, set())
        metadata = DataNodeMetadata(data_node=shown)
        assert metadata.preview_type == preview_type
        assert metadata.preview
