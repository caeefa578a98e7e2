"""The command `stablerep`, on a project of a few images."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from pipelines.commands import attribution as command
from pipelines.run.lock import hold_data_folder
from stablerep.caption_ids import caption_id_of
from stablerep.storage.shards import SHARDS_FOLDER, digest_of, encode_record, shard_name, write_shard

ROOT = Path(__file__).parents[3]
TEXTS = {"a nine": "one", "a red two": "two", "a three": "one"}
NINE = caption_id_of("a nine")
GENERATOR = {
    "generator_id": "g-0123456789abcdef",
    "model": "tiny",
    "files": {"unet/x.safetensors": "0"},
    "scheduler": "DPMSolverMultistepScheduler",
    "scheduler_options": {},
    "num_inference_steps": 3,
    "guidance_scale": 2.5,
    "negative_prompt": "",
    "size_px": 16,
    "saved_size_px": 16,
    "dtype": "float32",
}


def png_of(number: int) -> bytes:
    import torch

    from stablerep.storage.shards import encode_image

    return encode_image(torch.full((3, 16, 16), number, dtype=torch.uint8))


def write_store(store: Path, first: int = 0) -> None:
    """Writes an image of each caption, the first one of this grey."""
    samples: dict[str, list[Any]] = {}
    for number, (text, source) in enumerate(TEXTS.items(), first):
        caption_id, data = caption_id_of(text), png_of(number)
        entry = {"index": 0, "member": f"{caption_id}.0.png", "seed": 7, "digest": digest_of(data)}
        record = {
            "caption_id": caption_id, "text": text, "source": source, "licence": "CC0-1.0",
            "truncated": False, "generator_id": GENERATOR["generator_id"], "seed": 0,
            "images": [entry | {"width_px": 16, "height_px": 16}],
        }  # fmt: skip
        assert json.loads(encode_record(record)) == record
        samples.setdefault(shard_name(caption_id, 2), []).append((record, {0: data}))
    for name, members in samples.items():
        write_shard(store / SHARDS_FOLDER / name, members)
    (store / "generator.json").write_text(json.dumps(GENERATOR))
    software = {"versions": {"s-1": {"torch": "9.9"}}, "rest": "s-1", "images": {}}
    (store / "software.json").write_text(json.dumps(software))
    rows = [{"caption_id": caption_id_of(text), "image_index": 0, "digest": "x"} for text in TEXTS]
    pd.DataFrame(rows).to_parquet(store / "manifest.parquet")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with three images, its captions and no takedown."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("local"))
    (tmp_path / "conf/local").mkdir()
    write_store(tmp_path / "data/05_model_input/synthetic")
    raw = tmp_path / "data/01_raw"
    raw.mkdir()
    lines = [f"{text},{source},CC0-1.0" for text, source in {**TEXTS, "a five": "three"}.items()]
    (raw / "captions.csv").write_text("\n".join(["caption,source,licence", *lines]) + "\n")
    (raw / "takedowns.csv").write_text("what,kind,reason,date,who\n")
    monkeypatch.setattr(command, "PROJECT", tmp_path)
    return tmp_path


def invoke(*arguments: str, typed: str | None = None) -> Any:
    return CliRunner().invoke(command.attribution, list(arguments), input=typed)


def images_in(project: Path, image_set: str = "synthetic") -> set[str]:
    from stablerep.attribution.find import scan_shards

    scans = scan_shards(project / "data/05_model_input" / image_set).values()
    return {sample.record["text"] for scan in scans for sample in scan.samples.values()}


def files_of(project: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in (project / "data").rglob("*") if path.suffix != ".lock"
            and path.is_file()}  # fmt: skip


def test_show_prints_all_that_is_known(project: Path) -> None:
    result = invoke("show", f"{NINE}.0")
    assert result.exit_code == 0, result.output
    said = dict(line.split("  ", 1) for line in result.output.splitlines())
    said = {name.strip(): value.strip() for name, value in said.items()}
    assert said["caption"] == "a nine" and said["source"] == "one" and said["licence"] == "CC0-1.0"
    assert said["model"].startswith("tiny, m-")
    assert said["generator"] == "g-0123456789abcdef (model and settings)"
    assert said["seed"] == "0 of the set, 7 of the image's noise, drawn by torch"
    assert (said["guidance"], said["steps"]) == ("2.5", "3")
    assert said["scheduler"] == "DPMSolverMultistepScheduler"
    assert said["software"] == "torch 9.9"
    assert said["intact"] == "yes"


def test_show_tells_how_well_the_image_matches_where_that_was_scored(project: Path) -> None:
    from stablerep.alignment.scores import SCORE_COLUMNS, write_scores

    assert "alignment   not known" in invoke("show", f"{NINE}.0").output
    store = project / "data/05_model_input/synthetic"
    digest = json.loads(invoke("show", f"{NINE}.0", "--json").stdout)["digest"]
    row = [NINE, 0, "a nine", digest, "g-0123456789abcdef", "a-0123456789abcdef", 0.6789]
    write_scores(store, pd.DataFrame([row], columns=list(SCORE_COLUMNS)))
    assert "alignment   0.679 (a-0123456789abcdef)" in invoke("show", f"{NINE}.0").output
    # a score of other bytes is not this image's
    write_scores(store, pd.DataFrame([[*row[:3], "0" * 32, *row[4:]]], columns=list(SCORE_COLUMNS)))
    assert "alignment   not known" in invoke("show", f"{NINE}.0").output


def test_show_prints_json_for_programs(project: Path) -> None:
    assert json.loads(invoke("show", f"{NINE}.0", "--json").stdout)["text"] == "a nine"


def test_an_exported_image_shows_the_same_record(project: Path, tmp_path: Path) -> None:
    result = invoke("export", f"{NINE}.0", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    path = tmp_path / "out" / f"{NINE}.0.png"
    assert result.output.strip() == str(path)
    shown, read = (invoke("show", name, "--json").stdout for name in (f"{NINE}.0", str(path)))
    assert shown == read
    assert list(path.parent.iterdir()) == [path]


def test_damage_is_told_by_message_and_exit_code(project: Path, tmp_path: Path) -> None:
    invoke("export", f"{NINE}.0", str(tmp_path / "out"))
    path = tmp_path / "out" / f"{NINE}.0.png"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    result = invoke("show", str(path))
    assert result.exit_code == 1
    assert "no, it has other bytes than were recorded" in result.stdout
    assert f"DataError: image {NINE}.0: no, it has other bytes" in result.stderr
    result = invoke("export", str(path), str(tmp_path / "again"))
    assert result.exit_code == 1 and not (tmp_path / "again").exists()


def test_one_unknown_image_writes_no_file(project: Path, tmp_path: Path) -> None:
    result = invoke("export", f"{NINE}.0", f"{NINE}.5", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "DataError: image" in result.stderr and "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_show_remake_refuses_another_model(project: Path) -> None:
    model = ROOT / "data/06_models/generator"
    result = invoke("show", f"{NINE}.0", "--remake", "--model", str(model))
    assert result.exit_code == 1
    assert "is another model than the one that made it" in result.stderr


@pytest.mark.parametrize(
    ("what", "left", "reject"),
    [
        (NINE, {"a red two", "a three"}, "caption"),
        ("one", {"a red two"}, "source"),
        ("g-0123456789abcdef", set(), "generator"),
    ],
)
def test_a_confirmed_takedown_removes_and_records(
    project: Path, what: str, left: set[str], reject: str
) -> None:
    result = invoke("takedown", what, "--yes", "--reason", "licence withdrawn", "--who", "Ada")
    assert result.exit_code == 0, result.output
    assert images_in(project) == left
    line = (project / "data/01_raw/takedowns.csv").read_text().splitlines()[-1].split(",")
    assert line[:3] == [what, reject, "licence withdrawn"] and line[4] == "Ada"
    again = invoke("takedown", what, "--yes", "--reason", "x")
    assert again.exit_code == 0 and "nothing to do" in again.output


def test_the_next_run_rejects_what_was_taken_down(project: Path) -> None:
    from pipelines.config.loader import compose
    from pipelines.curation.nodes import curate_captions
    from stablerep.curation.people.edits import Edits
    from stablerep.curation.people.takedowns import read_takedowns

    invoke("takedown", "one", "--yes", "--reason", "licence withdrawn")
    raw = project / "data/01_raw"
    settings = compose(project / "conf/params", {})["curation"]
    # these captions tell of more than digit scenes
    settings["filters"] = [each for each in settings["filters"] if "Concepts" not in each["_target_"]]
    corpus = {"_target_": "stablerep.corpora.captions.Captions", "path": str(raw / "captions.csv")}
    work = project / "work"
    work.mkdir()
    kept, rejected, *_ = curate_captions(
        corpus,
        read_takedowns(raw / "takedowns.csv"),
        Edits([], raw / "caption_edits.csv"),
        ROOT / "data/06_models/generator",
        work,
        settings,
    )
    assert kept.collect()["text"].to_list() == ["a red two", "a five"]
    assert rejected.collect()["reason"].to_list() == ["taken_down_licence_withdrawn"] * 2


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_without_a_yes_nothing_changes(project: Path, answer: str) -> None:
    before = files_of(project)
    result = invoke("takedown", "one", "--reason", "why", typed=answer)
    assert "2 images of 2 captions came from source 'one'" in result.output
    assert f"  {NINE}.0" in result.output
    assert files_of(project) == before


def write_second_store(project: Path, other_pixels: bool) -> Path:
    """Writes the same images as a set of another name, or others of the same captions."""
    store = project / "data/05_model_input/w8"
    write_store(store, first=100 if other_pixels else 0)
    return store


def test_an_image_that_two_sets_have_with_the_same_pixels_is_found(project: Path) -> None:
    alone = invoke("show", f"{NINE}.0", "--json").stdout
    write_second_store(project, other_pixels=False)
    assert invoke("show", f"{NINE}.0", "--json").stdout == alone


def test_the_score_is_told_whichever_of_the_sets_has_it(project: Path) -> None:
    from stablerep.alignment.scores import SCORE_COLUMNS, write_scores

    digest = json.loads(invoke("show", f"{NINE}.0", "--json").stdout)["digest"]
    row = [NINE, 0, "a nine", digest, "g-0123456789abcdef", "a-0123456789abcdef", 0.6789]
    store = write_second_store(project, other_pixels=False)
    write_scores(store, pd.DataFrame([row], columns=list(SCORE_COLUMNS)))
    assert "alignment   0.679 (a-0123456789abcdef)" in invoke("show", f"{NINE}.0").output


def test_an_image_that_two_sets_have_with_other_pixels_needs_the_name_of_one(
    project: Path, tmp_path: Path
) -> None:
    write_second_store(project, other_pixels=True)
    for arguments in (["show", f"{NINE}.0"], ["export", f"{NINE}.0", str(tmp_path / "out")]):
        result = invoke(*arguments)
        assert result.exit_code == 1
        told = (
            f"DataError: image '{NINE}.0': in the image sets synthetic, w8, with different pixels. Name one"
        )
        assert told in result.stderr
    digests = set()
    for name in ("synthetic", "w8"):
        result = invoke("show", f"{NINE}.0", "--json", "--image-set", name)
        assert result.exit_code == 0, result.output
        digests.add(json.loads(result.stdout)["digest"])
        exported = invoke("export", f"{NINE}.0", str(tmp_path / name), "--image-set", name)
        assert exported.exit_code == 0, exported.output
    assert len(digests) == 2


def test_an_image_set_that_is_not_there_names_the_nearest(project: Path) -> None:
    result = invoke("show", f"{NINE}.0", "--image-set", "syntetic")
    assert result.exit_code == 1
    assert "ConfigError: --image-set: got 'syntetic'; must be one of synthetic. Did you mean" in result.stderr


def test_a_takedown_clears_every_image_set(project: Path) -> None:
    write_second_store(project, other_pixels=True)
    result = invoke("takedown", "one", "--yes", "--reason", "x")
    assert "4 images of 2 captions came from source 'one'" in result.output
    assert images_in(project) == images_in(project, "w8") == {"a red two"}


def test_image_stores_are_the_sets_with_shards(project: Path) -> None:
    (project / "data/05_model_input/rendered/finished").mkdir(parents=True)
    assert command.image_stores() == {"synthetic": project / "data/05_model_input/synthetic"}


def test_without_an_image_set_the_way_to_one_is_told(project: Path) -> None:
    shutil.rmtree(project / "data/05_model_input")
    result = invoke("show", f"{NINE}.0")
    assert result.exit_code == 1
    assert "no image set is there yet. Make one: kedro run --pipelines image_sets" in result.stderr


def test_the_image_sets_of_a_study_are_cleared_too(project: Path) -> None:
    study = project / "data/07_model_output/study/images-2.500"
    write_store(study)
    result = invoke("takedown", "two", "--yes", "--reason", "x")
    assert "2 images of 1 captions came from" in result.output
    assert f"  {caption_id_of('a red two')}.0" in result.output
    left = {path.stem for path in (study / SHARDS_FOLDER).iterdir()}
    assert left and b"a red two" not in b"".join(p.read_bytes() for p in (study / SHARDS_FOLDER).iterdir())


def test_what_is_taken_down_leaves_the_cache_beside_the_images_too(project: Path) -> None:
    from stablerep.generation.image_sets.cache import SampleCache
    from stablerep.storage.shards import scan_shard

    store = project / "data/05_model_input/synthetic"
    cache = SampleCache(store, 1 << 20)
    for shard in (store / SHARDS_FOLDER).iterdir():
        for sample in scan_shard(shard).samples.values():
            cache.put(sample, shard, [0], {})
    assert len(list(cache.folder.iterdir())) == 3
    assert invoke("takedown", "one", "--yes", "--reason", "x").exit_code == 0
    (left,) = cache.folder.iterdir()
    assert left.name.startswith(caption_id_of("a red two"))


def test_a_question_answered_with_yes_asks_why(project: Path) -> None:
    result = invoke("takedown", "two", typed="y\nshows a face\n")
    assert result.exit_code == 0, result.output
    assert "two,source,shows a face," in (project / "data/01_raw/takedowns.csv").read_text()
    assert "a red two" not in images_in(project)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["onw", "--yes", "--reason", "x"], "A source must be one of one, three, two. Did you mean 'one'?"),
        (
            ["c-0000000000000000", "--yes", "--reason", "x"],
            "no image, tracked encoder or caption came",
        ),
        (["g-0000000000000000", "--yes", "--reason", "x"], "takedown of generator 'g-0000000000000000'"),
        (["one", "--yes"], "--reason is missing; must be given with --yes"),
        (["one", "--yes", "--reason", " "], "reason: got ''"),
    ],
)
def test_a_wrong_takedown_changes_nothing(project: Path, arguments: list[str], message: str) -> None:
    before = files_of(project)
    result = invoke("takedown", *arguments)
    assert result.exit_code == 1
    assert message in result.stderr and "Traceback" not in result.output
    assert files_of(project) == before


def test_a_caption_without_images_yet_can_be_taken_down(project: Path) -> None:
    result = invoke("takedown", "three", "--yes", "--reason", "x")
    assert result.exit_code == 0, result.output
    assert "0 images removed" in result.output
    assert "three,source,x," in (project / "data/01_raw/takedowns.csv").read_text()


def test_a_takedown_waits_for_no_run(project: Path) -> None:
    with hold_data_folder(project / "data"):
        result = invoke("takedown", "one", "--yes", "--reason", "x")
    assert result.exit_code == 1 and "BusyError" in result.stderr


def test_a_path_of_the_local_configuration_is_honoured(project: Path) -> None:
    moved = "takedowns:\n  type: pipelines.datasets.TakedownsCSVDataset\n  filepath: elsewhere.csv\n"
    (project / "conf/local/catalog.yml").write_text(moved)
    assert command.catalog_path("takedowns") == project / "elsewhere.csv"


def test_the_script_finds_its_project_from_below_and_says_where_it_belongs(tmp_path: Path) -> None:
    from stablerep_command import find_project

    assert find_project(ROOT / "src" / "stablerep") == ROOT
    assert find_project(tmp_path) is None
    script = [sys.executable, "-m", "stablerep_command", "show", "x"]
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": ""}
    done = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"ConfigError: stablerep: got the folder {tmp_path}, in no project" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_script_prints_its_answer_alone_wherever_in_the_project_it_is_typed(bare_project: Path) -> None:
    script = [sys.executable, "-m", "stablerep_command", "show", "nothing"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        script, cwd=bare_project / "docs", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and done.stdout == ""
    assert "DataError: image 'nothing': no image set is there yet." in done.stderr
    assert "Traceback" not in done.stderr
