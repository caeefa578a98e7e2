"""dvc.yaml is what the pipelines and the catalog say."""

import ast
from pathlib import Path

import pytest
import yaml
from kedro.pipeline import Pipeline, node

from pipelines import dvc_stages

PROJECT = Path(__file__).parents[2]


def make_b(a: int, number: int) -> int:
    return a + number


def test_dvc_yaml_is_in_step_with_the_pipelines() -> None:
    assert dvc_stages.main(["--check"]) == 0


def test_a_changed_pipeline_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (PROJECT / "dvc.yaml").read_text()
    (tmp_path / "conf/base").mkdir(parents=True)
    (tmp_path / "conf/base/catalog.yml").write_text((PROJECT / "conf/base/catalog.yml").read_text())
    (tmp_path / "dvc.yaml").write_text(text.replace("captions.csv", "others.csv"))
    monkeypatch.setattr(dvc_stages, "PROJECT", tmp_path)
    assert dvc_stages.main(["--check"]) == 1
    assert dvc_stages.main(["--write"]) == 0
    assert (tmp_path / "dvc.yaml").read_text() == text


def test_a_room_becomes_files_keys_and_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc_stages, "SOURCES", {"room": ["part"]})
    catalog = {
        "a": {"type": "x", "filepath": "data/a"},
        "b": {"type": "x", "filepath": "data/b"},
        "docs": {"type": "x", "path": "data/docs", "metadata": {"dvc": "untracked"}},
        "store": {"type": "x", "path": "data/s", "metadata": {"dvc": {"stage": "room", "persist": True}}},
    }
    nodes = [
        node(make_b, ["a", "params:n.inner"], "b", name="one"),
        node(make_b, ["b", "docs"], "memory", name="two"),
        node(make_b, ["memory", "store"], "gone", name="three"),
    ]
    stage = dvc_stages.room_stage("room", Pipeline(nodes), catalog)
    assert stage["deps"] == ["data/a", "pipelines/room", "src/stablerep/part"]
    assert stage["params"] == ["n"]
    assert stage["outs"] == [{"data/s": {"persist": True}}, "data/b"]


def test_a_room_without_parameters_tracks_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc_stages, "SOURCES", {"room": []})
    catalog = {"a": {"type": "x", "filepath": "data/a"}}
    pipeline = Pipeline([node(len, ["a"], "n", name="one")])
    assert "params" not in dvc_stages.room_stage("room", pipeline, catalog)


def test_where_images_are_made_makes_no_stage_run_again() -> None:
    from pipelines.pipeline_registry import register_pipelines

    assert "params:execution" in register_pipelines()["generation"].inputs()
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
    assert not [name for name, stage in stages.items() if "execution" in stage.get("params", [])]


def test_each_source_is_there_and_no_out_is_told_twice() -> None:
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
    outs = [
        str(next(iter(out)) if isinstance(out, dict) else out) for s in stages.values() for out in s["outs"]
    ]
    assert len(outs) == len(set(outs))
    for stage in stages.values():
        for path in stage.get("deps", []):
            assert path.startswith("data/") or (PROJECT / path).exists(), path


@pytest.mark.parametrize("room", sorted(dvc_stages.SOURCES))
def test_what_a_rooms_nodes_import_is_among_the_stages_sources(room: str) -> None:
    tree = ast.parse((PROJECT / "pipelines" / room / "nodes.py").read_text())
    # what stands under `if TYPE_CHECKING` never runs
    running = [each for each in tree.body if not isinstance(each, ast.If)]
    inner = [each for top in running for each in ast.walk(top)]
    modules = {each.module or "" for each in inner if isinstance(each, ast.ImportFrom)}
    parts = {module.split(".")[1] for module in modules if module.startswith("stablerep.")}
    told = {part.removesuffix(".py") for part in dvc_stages.SOURCES[room]}
    assert parts - told <= {"errors"}
