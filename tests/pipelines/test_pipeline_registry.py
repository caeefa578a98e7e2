"""What is registered, and what starting up costs."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from kedro.pipeline import Pipeline
from parse import parse

from pipelines.pipeline_registry import register_pipelines

PROJECT = Path(__file__).parents[2]
PATH = ["curation", "validation", "generation", "training", "evaluation", "reporting"]
HEAVY = [
    "torch",
    "mlflow",
    "diffusers",
    "transformers",
    "timm",
    "great_expectations",
    "sklearn",
    "matplotlib",
]


def test_the_default_is_the_whole_path_without_tuning_and_what_is_shipped() -> None:
    pipelines = register_pipelines()
    assert set(pipelines) == {*PATH, "tuning", "pretraining", "scorer", "__default__"}
    path = sum((pipelines[name] for name in PATH), Pipeline([]))
    assert pipelines["__default__"].nodes == path.nodes


def test_rooms_run_from_left_to_right() -> None:
    pipelines = register_pipelines()
    made: set[str] = set()
    later = {name: pipelines[name].all_outputs() for name in PATH}
    for name in PATH:
        del later[name]
        not_yet = set().union(*later.values()) if later else set()
        assert not pipelines[name].inputs() & not_yet, name
        made |= pipelines[name].all_outputs()


def test_every_dataset_between_rooms_is_in_the_catalog() -> None:
    catalog = list(yaml.safe_load((PROJECT / "conf/base/catalog.yml").read_text()))
    for name, pipeline in register_pipelines().items():
        free = {each for each in pipeline.inputs() if not each.startswith("param")}
        assert not [each for each in free if not any(parse(entry, each) for entry in catalog)], name


def test_every_parameter_that_a_node_takes_is_composed() -> None:
    from pipelines.config.loader import compose

    keys = set(compose(PROJECT / "conf/params", {}))
    for name, pipeline in register_pipelines().items():
        taken = {each.removeprefix("params:").split(".")[0] for each in pipeline.inputs() if ":" in each}
        assert taken <= keys, name


ARMS = [
    {"name": "ours", "method": "stablerep", "images": "synthetic"},
    {"name": "theirs-2", "method": "clip", "images": "real"},
]


def test_each_arm_is_an_instance_of_one_sub_pipeline_that_runs_alone() -> None:
    from pipelines.training import create_pipeline

    pipeline = create_pipeline(ARMS)
    alone = pipeline.filter(node_namespaces=["training.theirs-2"])
    assert {node.name for node in alone.nodes} == {
        "training.theirs-2.draw_images",
        "training.theirs-2.train_arm",
    }
    assert alone.outputs() == {"encoder_of_theirs-2"}
    assert not [each for each in pipeline.inputs() if "." in each], "no input is an arm's own"
    assert "image_store" in pipeline.inputs()
    assert "image_store" not in alone.inputs(), "real scenes need no generator's images"
    assert all(
        "accepted_images" in each.inputs for each in pipeline.nodes if each.func.__name__ == "train_arm"
    )


def test_the_arms_of_the_runs_own_configuration_are_registered(bare_project: Path) -> None:
    # in another process, for Kedro keeps the project that it was configured for
    code = (
        "from kedro.framework.startup import bootstrap_project as b\n"
        "from kedro.framework.session import KedroSession as S\n"
        "from kedro.framework.project import pipelines\n"
        f"b({str(bare_project)!r})\n"
        "before = {n.namespace for n in pipelines['training'].nodes}\n"
        "arms = [{'name': 'mine', 'method': 'simclr', 'images': 'real'}]\n"
        f"with S.create({str(bare_project)!r}, runtime_params={{'arms': arms}}) as session:\n"
        "    session.load_context()\n"
        "print('training.stablerep' in before, {n.namespace for n in pipelines['training'].nodes})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "True {'training.mine'}"


def test_registering_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pipelines.pipeline_registry import register_pipelines as r; r(); "
        f"import pipelines.settings, pipelines.cli; print([m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    # Kedro tells its logging settings first
    assert done.stdout.splitlines()[-1] == "[]"


def test_import_mlflow_is_the_real_one() -> None:
    found = importlib.util.find_spec("mlflow")
    assert found is not None
    assert found.origin is not None
    assert PROJECT / "mlflow" not in Path(found.origin).parents


@pytest.mark.skipif(not (PROJECT / ".git").exists(), reason="asks git, and this is no checkout")
def test_git_tracks_no_python_file_in_the_folder_of_mlflow() -> None:
    # what is tracked, not what is there: runs write to this folder
    listed = subprocess.run(
        ["git", "ls-files", "mlflow"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    tracked = listed.stdout.splitlines()
    assert "mlflow/server.env" in tracked
    assert not [path for path in tracked if path.endswith(".py")]
