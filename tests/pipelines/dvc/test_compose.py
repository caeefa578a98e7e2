"""Composing the experiment that DVC runs, in this project and in a DVC repository of the test's own."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.pipeline import Pipeline, node
from ruamel.yaml import YAML

from pipelines.dvc import compose
from pipelines.dvc.datasets import Datasets
from pipelines.dvc.sources import Sources
from pipelines.dvc.stages import CHOSEN_FILE, SHIPPED, dvc_yaml
from stablerep.errors import ConfigError

PROJECT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent


def copy(source: str, target: str = "") -> str:
    return source + target


def of_experiment(params: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and stages: `a,b` has the image sets a and b, and `steps=2` changes a number."""
    if params == "broken":
        raise ConfigError("experiment: got 'broken'; must be one of w4, w8.")
    names = [name for name in params.split(",") if "=" not in name and name] or ["w8"]
    parameters = {"generator": {"steps": 2 if "steps=2" in params else 4}, "image_sets": names}
    nodes = [
        node(
            copy,
            ["captions", "params:generator"],
            f"images_{name}",
            name=name,
            namespace=f"image_sets.{name}",
        )
        for name in names
    ]
    catalog = {
        "captions": {"type": "x", "filepath": "captions.csv"},
        "images_{name}": {"type": "x", "filepath": "images/{name}.txt"},
    }
    pipelines = {"image_sets": Pipeline(nodes), "__default__": Pipeline(nodes)}
    return parameters, dvc_yaml(pipelines, Datasets(catalog), parameters, Sources(PROJECT / "docs"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "conf/params").mkdir(parents=True)
    (tmp_path / "captions.csv").write_text("a nine\n")
    monkeypatch.setattr(compose, "composed", of_experiment)
    monkeypatch.setattr(compose, "PROJECT", tmp_path)
    return tmp_path


def stages_in(folder: Path) -> list[str]:
    return list(yaml.safe_load((folder / "dvc.yaml").read_text())["stages"])


def test_the_files_of_this_project_are_up_to_date() -> None:
    assert compose.outdated(PROJECT) == []


def test_no_out_of_this_project_is_listed_twice_and_each_source_is_there() -> None:
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
    outs = [
        out if isinstance(out, str) else next(iter(out)) for each in stages.values() for out in each["outs"]
    ]
    assert len(outs) == len(set(outs))
    for stage in stages.values():
        for path in stage.get("deps", []):
            assert path.startswith("data/") or (PROJECT / path).exists(), path


def test_another_experiment_is_kept_and_composed_again(folder: Path) -> None:
    assert compose.main(["w4,w8"]) == 0
    assert (folder / CHOSEN_FILE).read_text() == "w4,w8\n"
    assert stages_in(folder) == ["params", "image_sets-w4", "image_sets-w8"]
    (folder / "dvc.yaml").unlink()
    assert compose.main([]) == 0
    assert stages_in(folder) == ["params", "image_sets-w4", "image_sets-w8"]
    assert compose.main([""]) == 0
    assert (folder / CHOSEN_FILE).read_text() == "\n"
    assert stages_in(folder) == ["params", "image_sets-w8"]


def test_another_number_changes_params_yaml_alone(folder: Path) -> None:
    compose.main([""])
    before = (folder / "dvc.yaml").read_text(), (folder / "params.yaml").read_text()
    compose.main(["steps=2"])
    assert (folder / "dvc.yaml").read_text() == before[0]
    assert (folder / "params.yaml").read_text() != before[1]


@pytest.mark.parametrize("name", ["dvc.yaml", "params.yaml"])
def test_a_file_out_of_date_is_noticed(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    compose.main([""])
    assert compose.main(["--check"]) == 0
    path = folder / name
    path.write_text(path.read_text() + "# edited\n")
    assert compose.main(["--check"]) == 1
    assert f"{name} is out of date" in capsys.readouterr().err


def test_the_params_stage_writes_what_changed_in_numbers(folder: Path) -> None:
    compose.main([""])
    (folder / CHOSEN_FILE).write_text("steps=2\n")
    assert compose.main(["--params-stage"]) == 0
    assert yaml.safe_load((folder / "params.yaml").read_text())["generator"] == {"steps": 2}


def test_the_params_stage_stops_where_the_stages_changed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compose.main(["w8,real"])
    before = (folder / "params.yaml").read_text()
    (folder / CHOSEN_FILE).write_text("w8,w4\n")
    assert compose.main(["--params-stage"]) == 1
    message = capsys.readouterr().err
    assert "new stages: image_sets-w4; removed stages: image_sets-real. " in message
    assert "Run `make compose`, then `dvc repro` again." in message
    assert (folder / "params.yaml").read_text() == before


def test_a_missing_choice_is_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compose.main(["--params-stage"]) == 1
    assert f"{CHOSEN_FILE}: missing" in capsys.readouterr().err


def test_nothing_is_written_where_composing_fails(folder: Path) -> None:
    compose.main([""])
    before = [(folder / name).read_text() for name in ("params.yaml", "dvc.yaml")]
    assert compose.main(["broken"]) == 1
    assert (folder / CHOSEN_FILE).read_text() == "\n"
    assert [(folder / name).read_text() for name in ("params.yaml", "dvc.yaml")] == before


def test_dvc_runs_one_item_by_its_name_and_all_items_by_a_pattern(folder: Path) -> None:
    compose.main(["w8,real"])
    # the files and programs of this project stand in the commands; the test's own repository has none of them
    document = yaml.safe_load((folder / "dvc.yaml").read_text())
    for name, stage in document["stages"].items():
        stage["deps"] = [path for path in stage["deps"] if (folder / path).exists()]
        stage["cmd"] = f"echo ran {name} > {stage['outs'][0]}" if name != "params" else "true"
    (folder / "dvc.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    (folder / "images").mkdir()

    def dvc(*arguments: str) -> str:
        command = [str(BIN / "dvc"), *arguments]
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    dvc("init", "--no-scm", "-q")
    dvc("config", "core.analytics", "false")
    dry = dvc("repro", "--dry", "image_sets-w8")
    assert "Running stage 'image_sets-w8'" in dry
    assert "image_sets-real" not in dry
    assert set(dvc("stage", "list", "--name-only").split()) == {"params", "image_sets-w8", "image_sets-real"}

    dvc("repro", "image_sets-w8")
    assert (folder / "images/w8.txt").read_text() == "ran image_sets-w8\n"
    assert not (folder / "images/real.txt").exists()
    dvc("repro", "--glob", "image_sets-*")
    assert (folder / "images/real.txt").exists()
    assert "up to date" in dvc("status")

    params = folder / "params.yaml"
    params.write_text(params.read_text().replace("steps: 4", "steps: 2"))
    assert "changed deps" in dvc("status", "image_sets-real")


@pytest.mark.parametrize("room", sorted(SHIPPED))
def test_dvc_does_not_train_again_what_is_shipped(room: str) -> None:
    # `dvc commit --force pretraining scorer` records it after its command or the name of its key changed
    load = YAML(typ="safe").load  # as DVC does: for PyYAML 1e-06 is a text
    stage, recorded = (load(PROJECT / name)["stages"][room] for name in ("dvc.yaml", "dvc.lock"))
    parameters = load(PROJECT / "params.yaml")
    assert " ".join(recorded["cmd"].split()) == stage["cmd"]
    assert recorded["params"]["params.yaml"] == {key: parameters[key] for key in stage["params"]}
