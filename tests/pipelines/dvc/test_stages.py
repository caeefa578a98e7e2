"""dvc.yaml is what the pipelines and the catalog say."""

import ast
from pathlib import Path

import pytest
import yaml
from kedro.pipeline import Pipeline, node

from pipelines.dvc import stages as dvc_stages

PROJECT = Path(__file__).parents[3]


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


@pytest.mark.parametrize("pattern", ["data/cc12m/*.tsv.gz", "data/cc12m/**/part-[0-9].tsv", "data/cc12m"])
def test_of_a_glob_dvc_watches_the_folder_above_it(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc_stages, "SOURCES", {"room": []})
    pipeline = Pipeline([node(len, ["a"], "n", name="one")])
    stage = dvc_stages.room_stage("room", pipeline, {"a": {"type": "x", "filepath": pattern}})
    assert stage["deps"] == ["data/cc12m", "pipelines/room"]


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


def file_of(module: str) -> Path | None:
    """The file of a module of ours; a package's own file where the package itself is named."""
    part = Path(*module.split("."))
    for root in (Path("src"), Path()):
        for path in (root / part.with_suffix(".py"), root / part / "__init__.py"):
            if part.parts[0] in ("stablerep", "pipelines") and (PROJECT / path).is_file():
                return path
    return None


def modules_imported_by(path: Path) -> set[str]:
    """What a file imports anywhere, also within functions, but not under `if TYPE_CHECKING`."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse((PROJECT / path).read_text())]
    while waiting:
        each = waiting.pop()
        if isinstance(each, ast.If) and "TYPE_CHECKING" in ast.unparse(each.test):
            continue
        if isinstance(each, ast.Import):
            found |= {alias.name for alias in each.names}
        if isinstance(each, ast.ImportFrom):
            inner = {f"{each.module}.{alias.name}" for alias in each.names}
            modules = {name for name in inner if file_of(name)}
            # from a package, a name is either a module of it or a thing that its own file has
            found |= modules if len(modules) == len(inner) else {*modules, str(each.module)}
        waiting += ast.iter_child_nodes(each)
    return found


def files_used_by(module: str) -> set[str]:
    """The files of ours that a module imports, and what these import in their turn."""
    used: set[Path] = set()
    waiting = [module]
    while waiting:
        path = file_of(waiting.pop())
        if path is not None and path not in used:
            used.add(path)
            waiting += modules_imported_by(path)
    return {path.as_posix() for path in used} - {
        "src/stablerep/errors.py",
        "src/stablerep/storage/whole_files.py",
    }


def untold(used: set[str], told: list[str]) -> set[str]:
    return {path for path in used if not any(path == part or path.startswith(f"{part}/") for part in told)}


@pytest.mark.parametrize("room", sorted(dvc_stages.SOURCES))
def test_all_that_a_rooms_nodes_use_is_among_the_stages_sources(room: str) -> None:
    told = [f"pipelines/{room}", *map(dvc_stages.source_path, dvc_stages.SOURCES[room])]
    assert untold(files_used_by(f"pipelines.{room}.nodes"), told) == set()


@pytest.mark.parametrize("room", sorted(dvc_stages.SOURCES))
def test_no_stage_depends_on_what_its_nodes_do_not_use(room: str) -> None:
    # methods, encoders, lists of words and templates are named by text, so that no import tells of them
    by_name = {
        "src/stablerep/losses",
        "src/stablerep/models",
        "conf/words",
        "src/stablerep/reporting/templates",
    }
    used = files_used_by(f"pipelines.{room}.nodes")
    for part in map(dvc_stages.source_path, dvc_stages.SOURCES[room]):
        assert part in by_name or untold(used, [part]) != used, part


def test_all_that_composes_the_parameters_is_among_the_sources_of_params() -> None:
    assert untold(files_used_by("pipelines.config.loader"), dvc_stages.PARAMS_SOURCES) == set()
