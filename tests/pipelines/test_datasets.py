"""The project's own datasets."""

import errno
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import polars.testing
import pytest
import torch
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner

from pipelines.config.evaluation import rebuild_text_tower
from pipelines.datasets import (
    CaptionEditsCSVDataset,
    CaptionFilesDataset,
    EncoderDataset,
    EvaluationCaptionsCSVDataset,
    FigureDataset,
    FolderDataset,
    ImageSetDataset,
    JSONDataset,
    LazyParquetDataset,
    PreviousParquetDataset,
    SecondsDataset,
    TakedownsCSVDataset,
    WithWorkFolderDataset,
    WorkFolderDataset,
)
from pipelines.run.causes import first_cause
from stablerep.errors import DataError, StableRepError
from stablerep.models.text import TrainedText, build_text_tower, tokenize
from stablerep.models.tokenizer import build_tokenizer, tokenizer_files, tokenizer_of_files
from stablerep.storage.digests import DIGESTS_FILE
from stablerep.training.arms import TrainedArm
from tests.pipelines.dying_saves import image_set

_SUFFIXES = {".safetensors", ".json", ".parquet"}


def arm(name: str, value: float, text: TrainedText | None = None) -> TrainedArm:
    history = pd.DataFrame({"step": [0, 1], "loss": [2.0, value]})
    config = {"_target_": "stablerep.models.residual.ResidualEncoder", "size_px": 32}
    return TrainedArm(name, "simclr", "real", 7, config, {"w": torch.full((2, 3), value).T}, history, text)


def text_tower() -> TrainedText:
    tokenizer = build_tokenizer(["a red seven", "a café"], max_tokens=8)
    sizes = {"width": 8, "num_layers": 1, "num_heads": 2, "out": 4}
    return TrainedText(
        sizes, build_text_tower(5, tokenizer, **sizes).state_dict(), tokenizer_files(tokenizer)
    )


def test_an_encoder_comes_back_as_it_was(tmp_path: Path) -> None:
    dataset = EncoderDataset(str(tmp_path / "encoders" / "a"))
    dataset.save(arm("a", 2.0))
    loaded = dataset.load()
    assert (loaded.name, loaded.method, loaded.images, loaded.seed) == ("a", "simclr", "real", 7)
    assert torch.equal(loaded.weights["w"], torch.full((3, 2), 2.0))
    assert loaded.encoder_config["size_px"] == 32
    pd.testing.assert_frame_equal(loaded.history, arm("a", 2.0).history)


def test_an_encoder_comes_back_with_its_text_tower_and_tokenizer(tmp_path: Path) -> None:
    dataset, text = EncoderDataset(str(tmp_path / "a")), text_tower()
    dataset.save(arm("a", 2.0, text))
    loaded = dataset.load().text
    assert loaded is not None and (loaded.sizes, loaded.tokenizer) == (text.sizes, text.tokenizer)
    texts = ["a red seven", "a CAFÉ of zebras"]
    before, after = (tokenizer_of_files(each.tokenizer) for each in (text, loaded))
    assert tokenize(before, texts).tolist() == tokenize(after, texts).tolist()
    towers = [rebuild_text_tower(each, 5) for each in (text, loaded)]
    assert towers[0].embed_texts(texts).tolist() == towers[1].embed_texts(texts).tolist()
    assert not [path for path in tmp_path.rglob("*") if path.suffix not in {"", *_SUFFIXES}]


def test_an_arm_without_text_replaces_one_with_text_as_a_whole(tmp_path: Path) -> None:
    dataset = EncoderDataset(str(tmp_path / "a"))
    dataset.save(arm("a", 2.0, text_tower()))
    dataset.save(arm("a", 2.0))
    assert dataset.load().text is None
    assert not [*tmp_path.rglob("text.safetensors"), *tmp_path.rglob("tokenizer")]


def test_a_folder_of_before_text_towers_were_kept_still_loads(tmp_path: Path) -> None:
    dataset = EncoderDataset(str(tmp_path / "a"))
    dataset.save(arm("a", 2.0))
    described = json.loads((tmp_path / "a/encoder.json").read_text())
    assert set(described) == {"name", "method", "images", "seed", "encoder_config"}
    assert dataset.load().text is None


@pytest.mark.parametrize("damage", ["cut", "missing", "changed"])
@pytest.mark.parametrize("name", ["text.safetensors", "tokenizer/tokenizer.json", "encoder.json"])
def test_a_text_tower_that_is_not_whole_is_named(tmp_path: Path, name: str, damage: str) -> None:
    dataset = EncoderDataset(str(tmp_path / "a" / "seed_7"))
    dataset.save(arm("a", 1.0, text_tower()))
    path = tmp_path / "a/seed_7" / name
    if damage == "missing":
        path.unlink()
    else:
        whole = path.read_bytes()
        path.write_bytes(whole[:30] if damage == "cut" else whole.replace(b"t", b"T").replace(b"e", b"E"))
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    told = str(first_cause(caught.value, DataError))
    assert f"{tmp_path}/a/seed_7: cannot be read as a folder with" in told
    assert "kedro run --namespaces training.a.seed_7" in told


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "5",
        "{}",
        '{"text": {}}',
        "[" * 100_000,
        "\xff",
        '{"name": "a", "method": "m", "images": "i", "seed": "0", "encoder_config": {}}',
        '{"name": "a", "method": "m", "images": "i", "seed": 0, "encoder_config": {}, "more": 1}',
    ],
    ids=lambda content: content[:20],
)
def test_a_description_of_something_else_is_named(tmp_path: Path, content: str) -> None:
    dataset = EncoderDataset(str(tmp_path / "a" / "seed_7"))
    dataset.save(arm("a", 1.0, text_tower()))
    (tmp_path / "a/seed_7/encoder.json").write_text(content, encoding="latin-1")
    (tmp_path / "a/seed_7" / DIGESTS_FILE).unlink()
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert "cannot be read as a folder with" in str(first_cause(caught.value, DataError))


@pytest.mark.parametrize("name", ["encoder.safetensors", "encoder.json", "history.parquet"])
def test_an_encoder_with_a_flipped_byte_is_refused(tmp_path: Path, name: str) -> None:
    dataset = EncoderDataset(str(tmp_path / "a" / "seed_7"))
    dataset.save(arm("a", 1.0))
    path = tmp_path / "a/seed_7" / name
    data = bytearray(path.read_bytes())
    data[-6] ^= 1  # still a file of its kind, safetensors and parquet do not look
    path.write_bytes(data)
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    told = str(first_cause(caught.value, DataError))
    assert f"{name} is not the file that SHA256SUMS records" in told
    assert "kedro run --namespaces training.a.seed_7" in told


def test_the_description_of_another_arm_is_refused(tmp_path: Path) -> None:
    dataset, other = (EncoderDataset(str(tmp_path / name / "seed_7")) for name in ("a", "b"))
    dataset.save(arm("a", 1.0))
    other.save(arm("b", 1.0))
    shutil.copy(tmp_path / "b/seed_7/encoder.json", tmp_path / "a/seed_7/encoder.json")
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert "encoder.json is not the file" in str(first_cause(caught.value, DataError))


def test_an_encoder_of_before_digests_were_kept_loads_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = EncoderDataset(str(tmp_path / "a"))
    dataset.save(arm("a", 1.0))
    assert dataset.load().name == "a" and not caplog.text
    (tmp_path / "a" / DIGESTS_FILE).unlink()
    assert dataset.load().name == "a"
    assert "a: no SHA256SUMS; whether its files changed is not known" in caplog.text


def test_saving_an_encoder_leaves_nothing_beside_and_other_arms_as_they_were(tmp_path: Path) -> None:
    EncoderDataset(str(tmp_path / "b")).save(arm("b", 1.0))
    dataset = EncoderDataset(str(tmp_path / "a"))
    dataset.save(arm("a", 1.0))
    dataset.save(arm("a", 3.0))
    assert dataset.load().weights["w"][0, 0] == 3.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_failed_save_leaves_the_old_encoder(tmp_path: Path) -> None:
    dataset = EncoderDataset(str(tmp_path / "a"))
    dataset.save(arm("old", 1.0))
    broken = arm("new", 1.0)
    object.__setattr__(broken, "weights", {"w": "no tensor"})
    with pytest.raises(DatasetError):
        dataset.save(broken)
    assert dataset.load().name == "old"


@pytest.mark.parametrize("digests", [True, False])
@pytest.mark.parametrize("damage", ["cut", "missing"])
@pytest.mark.parametrize("name", ["encoder.safetensors", "encoder.json", "history.parquet"])
def test_an_encoder_that_is_not_whole_is_named(tmp_path: Path, name: str, damage: str, digests: bool) -> None:
    dataset = EncoderDataset(str(tmp_path / "a" / "seed_7"))
    dataset.save(arm("a", 1.0))
    path = tmp_path / "a" / "seed_7" / name
    path.write_bytes(path.read_bytes()[:10]) if damage == "cut" else path.unlink()
    if not digests:
        (tmp_path / "a" / "seed_7" / DIGESTS_FILE).unlink()
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(first_cause(caught.value, StableRepError), DataError)
    assert "kedro run --namespaces training.a.seed_7" in str(first_cause(caught.value, StableRepError))


def test_a_folder_is_an_absolute_path_whether_or_not_it_is_there() -> None:
    assert FolderDataset("somewhere").load() == Path.cwd() / "somewhere"


def test_a_folder_is_an_output_where_a_node_filled_it_and_returned_its_path(tmp_path: Path) -> None:
    dataset = FolderDataset(str(tmp_path / "filled"))
    (tmp_path / "filled").mkdir()
    dataset.save(tmp_path / "filled")
    assert dataset.load() == tmp_path / "filled"


@pytest.mark.parametrize("returned", ["other", "missing"])
def test_another_folder_or_one_that_is_not_there_is_no_output(tmp_path: Path, returned: str) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(DatasetError) as caught:
        FolderDataset(str(tmp_path / "missing")).save(tmp_path / returned)
    told = str(first_cause(caught.value, DataError))
    assert told.startswith(f"{tmp_path}/missing: a node returned {tmp_path}/{returned}; it must fill this")


def test_an_image_set_lies_beside_its_shards_and_comes_back_with_its_folder(tmp_path: Path) -> None:
    shards = tmp_path / "sets" / "x" / "shards"
    shards.mkdir(parents=True)
    dataset = ImageSetDataset(str(tmp_path / "sets" / "x"))
    assert not dataset.exists(), "shards alone are no finished set"
    dataset.save(image_set(3))
    assert dataset.exists()
    assert sorted(path.name for path in shards.parent.iterdir()) == ["finished", "shards"]
    loaded = dataset.load()
    assert (loaded.name, loaded.source, loaded.parts) == ("x", "rendered", {"x": "rendered"})
    assert (loaded.folder, loaded.manifest, loaded.facts) == (tmp_path / "sets" / "x", None, {"seed": 3})
    pd.testing.assert_frame_equal(loaded.images, image_set(3).images)
    pd.testing.assert_frame_equal(loaded.captions, image_set(3).captions)


def test_a_damaged_image_set_names_the_command_that_makes_it(tmp_path: Path) -> None:
    dataset = ImageSetDataset(str(tmp_path / "x"))
    dataset.save(image_set(1))
    (tmp_path / "x" / "finished" / "image_set.json").write_text("{")
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert "kedro run --namespaces image_sets.x" in str(first_cause(caught.value, DataError))


def test_the_table_of_an_earlier_run_is_there_or_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "table.parquet"
    dataset = PreviousParquetDataset(str(path))
    assert dataset.exists(), "a first run must not stop for what no run has left"
    assert dataset.load() is None
    table = pd.DataFrame({"key": ["a"]})
    table.to_parquet(path)
    pd.testing.assert_frame_equal(dataset.load(), table)
    path.write_bytes(path.read_bytes()[:20])
    assert dataset.load() is None
    assert "cannot be read as a Parquet file" in caplog.text
    with pytest.raises(DatasetError, match="must not be an output"):
        dataset.save(table)


def test_a_lazy_table_comes_back_and_is_not_read_before(tmp_path: Path) -> None:
    dataset = LazyParquetDataset(str(tmp_path / "table.parquet"))
    table = pl.DataFrame({"caption_id": ["c-1", "c-2"], "score.length": [2.0, 3.0]})
    dataset.save(table.lazy())
    loaded = dataset.load()
    assert isinstance(loaded, pl.LazyFrame)
    polars.testing.assert_frame_equal(loaded.collect(), table)


def test_seconds_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    dataset = SecondsDataset(str(tmp_path / "deep" / "seconds.json"))
    assert dataset.load() == {}
    dataset.save({"a": 1.0})
    dataset.save({"b": 2.0, "a": 3.0})
    assert dataset.load() == {"a": 3.0, "b": 2.0}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["seconds.json"]


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": "b"}'])
def test_damaged_seconds_stop_no_run(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "seconds.json"
    path.write_text(text)
    SecondsDataset(str(path)).save({"b": 2.0})
    assert SecondsDataset(str(path)).load() == {"b": 2.0}
    assert "it is written again" in caplog.text


def test_a_file_system_that_fails_has_damaged_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    for made in (JSONDataset, SecondsDataset, PreviousParquetDataset):
        path = tmp_path / made.__name__
        path.write_text("{}")
        monkeypatch.setattr(made, "_read", fails)
        dataset = made(filepath=str(path))
        with pytest.raises(Exception, match="the file system failed"):
            dataset.save({"a": 1.0}) if made is SecondsDataset else dataset.load()
        assert path.read_text() == "{}"


def test_seconds_that_are_no_json_say_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "seconds.json"
    path.write_text("{")
    with pytest.raises(DatasetError, match="Remove it"):
        SecondsDataset(str(path)).load()


def test_a_figure_becomes_a_png(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    path = tmp_path / "curve.png"
    FigureDataset(str(path)).save(Figure(figsize=(1, 1)))
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_missing_captions_file_is_the_users_to_mend(tmp_path: Path) -> None:
    dataset = CaptionFilesDataset(str(tmp_path / "*.csv"))
    assert not dataset.exists()
    with pytest.raises(DataError, match="no such file"):
        dataset.load().paths()
    (tmp_path / "captions.csv").write_text("caption\na nine\n")
    assert dataset.exists()
    assert [path.name for path in dataset.load().paths()] == ["captions.csv"]


def test_edits_are_read_with_the_line_of_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "caption_edits.csv"
    dataset = CaptionEditsCSVDataset(str(path))
    path.write_text("caption,action,text,reason,who\n")
    assert dataset.load().edits == []
    path.write_text("caption,action,text,reason,who\na nine,lose,,x,Ada\n")
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert "line 2: action: got 'lose'" in str(first_cause(caught.value, StableRepError))


def test_evaluation_captions_are_read_strictly_and_no_output_of_a_node(tmp_path: Path) -> None:
    path = tmp_path / "evaluation_captions.csv"
    dataset = EvaluationCaptionsCSVDataset(str(path))
    path.write_text("caption\na brown zero, on paper\n")
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert "line 2: got 2 fields; must be 1" in str(first_cause(caught.value, StableRepError))
    path.write_text('caption\n"a brown zero, on paper"\n')
    assert dataset.load()["caption"].tolist() == ["a brown zero, on paper"]
    with pytest.raises(DatasetError, match="must not be an output"):
        dataset.save(dataset.load())


def test_takedowns_are_read_and_no_output_of_a_node(tmp_path: Path) -> None:
    path = tmp_path / "takedowns.csv"
    dataset = TakedownsCSVDataset(str(path))
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert "takedowns.csv: cannot be read" in str(first_cause(caught.value, StableRepError))
    path.write_text("what,kind,reason,date,who\nx,source,why,2026-01-31,Ada\n")
    assert dataset.load()["what"].tolist() == ["x"]
    with pytest.raises(DatasetError, match="must not be an output"):
        dataset.save(dataset.load())


def test_metadata_is_kept_for_the_catalogs_readers(tmp_path: Path) -> None:
    told = {"dvc": "untracked"}
    assert FolderDataset(str(tmp_path), metadata=told).metadata == told


@dataclass(frozen=True)
class Work:
    folder: Path


def begin(work: Path) -> Work:
    assert list(work.iterdir()) == []
    (work / "file").touch()
    return Work(work)


@pytest.mark.parametrize("faults", [False, True])
def test_working_files_go_with_the_object_that_has_them(tmp_path: Path, faults: bool) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "of a killed run").touch()
    catalog = DataCatalog(
        {
            "work_folder": WorkFolderDataset(str(folder)),
            "work": WithWorkFolderDataset(),
            "told": MemoryDataset(),
        }
    )

    def read(work: Work) -> list[str]:
        if faults:
            raise ValueError("a node's fault")
        return [path.name for path in work.folder.iterdir()]

    graph = Pipeline([node(begin, "work_folder", "work", name="one"), node(read, "work", "told", name="two")])
    if faults:
        with pytest.raises(ValueError, match="a node's fault"):
            SequentialRunner().run(graph, catalog)
        assert folder.exists()  # the next run empties it
    else:
        SequentialRunner().run(graph, catalog)
        assert catalog.load("told") == ["file"]
        assert not folder.exists()
