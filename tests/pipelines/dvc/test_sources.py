"""Which files a stage depends on."""

import ast
import subprocess
from pathlib import Path

import pytest

from pipelines.dvc.sources import Sources, without_nested

PROJECT = Path(__file__).parents[3]
DOCSTRING = '"""Only a docstring."""\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one room, and a library in which nothing imports `unused`."""
    files = {
        "pipelines/__init__.py": DOCSTRING,
        "pipelines/other/nodes.py": "import stablerep.unused\n",
        "pipelines/room/__init__.py": "from pipelines.room.pipeline import create_pipeline\n",
        "pipelines/room/pipeline.py": "create_pipeline = None\n",
        "pipelines/room/nodes.py": "from stablerep.direct import thing\n",
        "src/stablerep/__init__.py": DOCSTRING,
        "src/stablerep/errors.py": "class StableRepError(Exception): ...\n",
        "src/stablerep/direct.py": "from stablerep.errors import StableRepError\nthing = 1\n",
        "src/stablerep/unused.py": "",
        "src/stablerep/methods/__init__.py": DOCSTRING,
        "src/stablerep/methods/simclr.py": "class SimCLR: ...\n",
        "src/stablerep/methods/clip.py": "class CLIP: ...\n",
        "conf/words/digits.txt": "one\n",
        "data/01_raw/cc12m/a.tsv": "",
    }
    for name, text in files.items():
        write(tmp_path, name, text)
    return tmp_path


def write(project: Path, name: str, text: str) -> None:
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def sources_of(project: Path, parameters: object = None) -> list[str]:
    return Sources(project).of_stage(["pipelines.room.nodes"], parameters)


def test_a_stage_depends_on_its_room_and_on_what_it_imports(project: Path) -> None:
    assert sources_of(project) == ["pipelines/room", "src/stablerep/direct.py"]


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    from stablerep.methods.simclr import SimCLR\n",
        "from stablerep.methods import simclr\n",
        "import stablerep.methods.simclr\n",
        "from .methods import simclr\n",
        "from .methods.simclr import SimCLR\n",
        "COMMAND = ['-m', 'stablerep.methods.simclr']\n",
        "if TYPE_CHECKING:\n    pass\nelse:\n    import stablerep.methods.simclr\n",
    ],
)
def test_an_import_anywhere_in_an_imported_module_is_found(project: Path, text: str) -> None:
    write(project, "src/stablerep/direct.py", text)
    assert "src/stablerep/methods/simclr.py" in sources_of(project)


def test_an_import_for_type_checking_is_no_dependency(project: Path) -> None:
    text = "if TYPE_CHECKING:\n    from stablerep.methods.simclr import SimCLR\n"
    write(project, "src/stablerep/direct.py", text)
    assert sources_of(project) == ["pipelines/room", "src/stablerep/direct.py"]


def test_a_module_of_another_project_is_no_dependency(project: Path) -> None:
    write(project, "src/stablerep/direct.py", "import torch.nn\nfrom json import dumps\nNAME = 'a.b'\n")
    assert sources_of(project) == ["pipelines/room", "src/stablerep/direct.py"]


def test_an_import_runs_the_code_of_the_packages_above(project: Path) -> None:
    write(project, "src/stablerep/methods/__init__.py", "from stablerep.unused import x\n")
    write(project, "src/stablerep/direct.py", "from stablerep.methods.simclr import SimCLR\n")
    assert {"src/stablerep/methods/__init__.py", "src/stablerep/unused.py"} <= set(sources_of(project))


def test_a_class_that_the_parameters_name_is_a_dependency(project: Path) -> None:
    parameters = {"method": [{"simclr": {"_target_": "stablerep.methods.simclr.SimCLR"}}]}
    assert "src/stablerep/methods/simclr.py" in sources_of(project, parameters)
    assert "src/stablerep/methods/clip.py" not in sources_of(project, parameters)


def test_a_class_of_a_library_in_the_parameters_is_no_dependency(project: Path) -> None:
    parameters = {"scheduler": {"_target_": "diffusers.DPMSolverMultistepScheduler"}}
    assert sources_of(project, parameters) == sources_of(project)


def test_a_folder_of_which_all_is_used_stands_for_its_files(project: Path) -> None:
    parameters = ["stablerep.methods.simclr.SimCLR", "stablerep.methods.clip.CLIP"]
    assert sources_of(project, parameters)[-1] == "src/stablerep/methods"
    write(project, "src/stablerep/methods/inner/new.py", "")
    assert "src/stablerep/methods" not in sources_of(project, parameters)


def test_a_file_that_git_does_not_track_leaves_a_whole_folder_whole(project: Path) -> None:
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=project, check=True)
    write(project, "src/stablerep/methods/scratch.py", "")
    parameters = ["stablerep.methods.simclr.SimCLR", "stablerep.methods.clip.CLIP"]
    assert "src/stablerep/methods" in sources_of(project, parameters)


@pytest.mark.parametrize("named", ["conf/words/digits.txt", "data/01_raw/cc12m"])
def test_an_input_that_the_parameters_name_is_a_dependency(project: Path, named: str) -> None:
    assert named in sources_of(project, {"corpus": {"path": named}})


def test_a_folder_of_images_outside_the_project_is_a_dependency(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    photos = tmp_path_factory.mktemp("photos")
    (photos / "a.jpg").touch()
    assert str(photos) in sources_of(project, {"corpus": {"path": str(photos)}})
    assert str(photos) in sources_of(project, {"corpus": {"path": f"{photos}/*.jpg"}})


@pytest.mark.parametrize("named", ["data/01_raw/cc12m/*.tsv", "data/01_raw/cc12m/**/[a-z].tsv"])
def test_of_a_glob_it_is_the_folder_above_the_wildcard(project: Path, named: str) -> None:
    assert "data/01_raw/cc12m" in sources_of(project, named)


@pytest.mark.parametrize(
    "named", ["conf/words/missing.txt", "data/05_model_input/x", "words/digits.txt", "/"]
)
def test_other_paths_in_the_parameters_are_no_dependencies(project: Path, named: str) -> None:
    write(project, "data/05_model_input/x", "")
    assert sources_of(project, named) == sources_of(project)


@pytest.mark.parametrize("text", ["loader = PackageLoader('stablerep')", "path = 'templates/page.html'"])
def test_templates_come_with_the_module_that_loads_them(project: Path, text: str) -> None:
    write(project, "src/stablerep/templates/page.html", "")
    assert "src/stablerep/templates" not in sources_of(project)
    write(project, "src/stablerep/direct.py", text)
    assert "src/stablerep/templates" in sources_of(project)


def test_a_path_inside_a_folder_is_tracked_with_the_folder() -> None:
    assert without_nested(["a/b", "a/b/c.py", "a/bc.py"]) == {"a/b", "a/bc.py"}


def test_each_file_is_parsed_once_for_all_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    parse, parsed = ast.parse, []

    def counted(text: str) -> ast.Module:
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr(ast, "parse", counted)
    sources = Sources(PROJECT)
    for room in [path.parent.name for path in sorted((PROJECT / "pipelines").glob("*/nodes.py"))]:
        assert f"pipelines/{room}" in sources.of_stage([f"pipelines.{room}.nodes"])
    files = [path for folder in ("src", "pipelines") for path in (PROJECT / folder).rglob("*.py")]
    assert 0 < len(parsed) <= len(files)
