"""What is registered, and what starting up costs."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.pipeline import Pipeline
from parse import parse

from pipelines.config.loader import compose
from pipelines.pipeline_registry import register_pipelines
from pipelines.run.current import CURRENT
from pipelines.run.items import needs_captions, needs_corpus_images

PROJECT = Path(__file__).parents[2]
ROOMS = ["image_sets", "training", "evaluation_sets", "evaluation", "image_set_metrics", "reporting"]
PATH = ["curation", "validation", *ROOMS]
APART = {"tuning", "pretraining", "scorer"}
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


@pytest.fixture(scope="module")
def default() -> dict[str, Any]:
    return compose(PROJECT / "conf/params", {})


def registered(monkeypatch: pytest.MonkeyPatch, parameters: dict[str, Any]) -> dict[str, Pipeline]:
    """Returns what is registered for a run with these parameters."""
    monkeypatch.setattr(CURRENT, "parameters", parameters)
    return register_pipelines()


@pytest.fixture
def pipelines(monkeypatch: pytest.MonkeyPatch, default: dict[str, Any]) -> dict[str, Pipeline]:
    return registered(monkeypatch, default)


def with_real_images(default: dict[str, Any], **image_sets: Any) -> dict[str, Any]:
    """Returns parameters whose image sets are these, and whose corpus has images."""
    arms = {"a": {"method": "simclr", "images": next(iter(image_sets)), "training": {}, "if_possible": False}}
    folder = {"_target_": "stablerep.corpora.image_folder.ImageFolder", "path": "images"}
    own = {"corpus": folder, "image_sets": image_sets, "arms": arms}
    return default | own | {"evaluation_sets": {"held_out": folder}}


def names(pipeline: Pipeline) -> set[str]:
    return {node.name for node in pipeline.nodes}


def test_the_default_is_the_whole_path_without_tuning_and_what_is_shipped(
    pipelines: dict[str, Pipeline],
) -> None:
    rooms = {name for name in pipelines if "." not in name}
    assert rooms == {"corpus", *PATH, *APART, "__default__"}
    path = sum((pipelines[name] for name in PATH), Pipeline([]))
    assert pipelines["__default__"].nodes == path.nodes


def test_each_item_of_the_lists_is_registered_under_its_namespace(
    monkeypatch: pytest.MonkeyPatch, default: dict[str, Any]
) -> None:
    pipelines = registered(monkeypatch, default | {"seeds": [0, 3]})
    items = {name for name in pipelines if "." in name}
    sets = {f"image_sets.{name}" for name in default["image_sets"]}
    arms = {f"training.{name}.seed_{seed}" for name in default["arms"] for seed in (0, 3)}
    assert items == sets | arms | {f"evaluation_sets.{name}" for name in default["evaluation_sets"]}
    for room in ("image_sets", "training", "evaluation_sets"):
        parts = [pipelines[name] for name in items if name.startswith(f"{room}.")]
        assert names(pipelines[room]) == set().union(*map(names, parts))


def test_real_images_alone_need_no_captions(monkeypatch: pytest.MonkeyPatch, default: dict[str, Any]) -> None:
    parameters = with_real_images(default, real={"source": "corpus"})
    assert needs_corpus_images(parameters)
    assert not needs_captions(parameters)
    pipelines = registered(monkeypatch, parameters)
    path = sum((pipelines[name] for name in ("corpus", *ROOMS)), Pipeline([]))
    assert pipelines["__default__"].nodes == path.nodes
    assert "index_corpus" in names(pipelines["__default__"])
    assert not names(pipelines["__default__"]) & names(pipelines["curation"] + pipelines["validation"])
    assert not [each for each in pipelines["__default__"].inputs() if "caption_set" in each]


def test_captions_and_real_images_are_both_prepared_where_both_are_used(
    monkeypatch: pytest.MonkeyPatch, default: dict[str, Any]
) -> None:
    parameters = with_real_images(default, real={"source": "corpus"}, drawn={"source": "rendered"})
    pipelines = registered(monkeypatch, parameters)
    path = sum((pipelines[name] for name in ("corpus", *PATH)), Pipeline([]))
    assert pipelines["__default__"].nodes == path.nodes


def test_a_corpus_that_is_only_evaluated_on_is_listed_too(default: dict[str, Any]) -> None:
    assert not needs_corpus_images(default)
    assert needs_corpus_images(default | {"evaluation_sets": {"held_out": default["corpus"]}})


def test_rooms_run_from_left_to_right(pipelines: dict[str, Pipeline]) -> None:
    later = {name: pipelines[name].all_outputs() for name in PATH}
    for name in PATH:
        del later[name]
        not_yet = set().union(*later.values()) if later else set()
        assert not pipelines[name].inputs() & not_yet, name


def test_every_dataset_between_rooms_is_in_the_catalog(pipelines: dict[str, Pipeline]) -> None:
    catalog = list(yaml.safe_load((PROJECT / "conf/base/catalog.yml").read_text()))
    for name, pipeline in pipelines.items():
        free = {each for each in pipeline.inputs() if not each.startswith("param")}
        assert not [each for each in free if not any(parse(entry, each) for entry in catalog)], name


def test_no_image_set_takes_the_place_of_something_else(
    monkeypatch: pytest.MonkeyPatch, default: dict[str, Any]
) -> None:
    # a set named `generator` must not be drawn into the model's folder
    sets = {name: {"source": "rendered"} for name in ("generator", "scorer", "captions")}
    pipelines = registered(monkeypatch, default | {"image_sets": default["image_sets"] | sets})
    catalog = list(yaml.safe_load((PROJECT / "conf/base/catalog.yml").read_text()))
    named = {each for pipeline in pipelines.values() for each in pipeline.datasets() if ":" not in each}
    for dataset in named - {"parameters"}:
        entries = [entry for entry in catalog if parse(entry, dataset)]
        assert len(entries) <= 1, f"{dataset} could be {entries}"


def test_every_parameter_that_a_node_takes_is_composed(
    pipelines: dict[str, Pipeline], default: dict[str, Any]
) -> None:
    for name, pipeline in pipelines.items():
        for each in pipeline.inputs():
            if ":" in each:
                value: Any = default
                for part in each.removeprefix("params:").split("."):
                    assert part in value, f"{name}: {each}"
                    value = value[part]


ARMS = {
    "ours": {"method": "stablerep", "images": "synthetic"},
    "theirs-2": {"method": "clip", "images": "real"},
}


def test_each_arm_and_seed_is_an_instance_of_one_sub_pipeline_that_runs_alone(
    default: dict[str, Any],
) -> None:
    from pipelines.training import create_pipeline

    pipeline = create_pipeline(default | {"arms": ARMS, "seeds": [0, 3]})
    assert len(pipeline.nodes) == 2 * 2 * 2
    alone = pipeline.filter(node_namespaces=["training.theirs-2.seed_3"])
    assert names(alone) == {
        "training.theirs-2.seed_3.open_images",
        "training.theirs-2.seed_3.train_arm",
    }
    assert alone.outputs() == {"encoder_of_theirs-2_seed_3"}
    both = pipeline.filter(node_namespaces=["training.theirs-2"])
    assert both.outputs() == {"encoder_of_theirs-2_seed_0", "encoder_of_theirs-2_seed_3"}
    data = {each for each in alone.inputs() if ":" not in each}
    assert data == {"image_set_of_real", "training_work"}
    assert {"params:arms.theirs-2", "params:method.clip"} <= alone.inputs()


def test_the_items_of_the_runs_own_configuration_are_registered(bare_project: Path) -> None:
    # in another process, for Kedro keeps the project that it was configured for
    code = (
        "from kedro.framework.startup import bootstrap_project as b\n"
        "from kedro.framework.session import KedroSession as S\n"
        "from kedro.framework.project import pipelines\n"
        f"b({str(bare_project)!r})\n"
        "before = {n.namespace for n in pipelines['training'].nodes}\n"
        "given = {'arms.mine': {'method': 'simclr', 'images': 'real'}, 'seeds': [4], 'image_sets.w8': {\n"
        "    'source': 'generated'}, **{f'arms.{name.split(\".\")[1]}': None for name in before}}\n"
        f"with S.create({str(bare_project)!r}, runtime_params=given) as session:\n"
        "    session.load_context()\n"
        "sets = 'image_sets.w8' in {n.namespace for n in pipelines['image_sets'].nodes}\n"
        "arms = {n.namespace for n in pipelines['training'].nodes}\n"
        "print('training.stablerep.seed_0' in before, sets, arms)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "True True {'training.mine.seed_4'}"


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
