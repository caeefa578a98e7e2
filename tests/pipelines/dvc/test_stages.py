"""Stages from pipelines, catalog and parameters."""

import functools
from pathlib import Path
from typing import Any

import pytest
from kedro.pipeline import Pipeline, node, pipeline

from pipelines.dvc.datasets import Datasets
from pipelines.dvc.sources import Sources
from pipelines.dvc.stages import dvc_yaml, stages_of_room
from stablerep.errors import ConfigError

CATALOG = {
    "captions": {"type": "x", "filepath": "data/captions.csv"},
    "photos": {"type": "x", "filepath": "data/photos/*.jpg"},
    "work": {"type": "x", "path": "data/work", "metadata": {"dvc": "untracked"}},
    "image_set_of_{name}": {"type": "x", "path": "data/sets/{name}", "metadata": {"dvc": {"persist": True}}},
    "{room}.{name}.manifest": {"type": "x", "filepath": "data/sets/{name}.parquet"},
    "encoder_of_{arm}_seed_{seed}": {"type": "x", "path": "data/encoders/{arm}/seed_{seed}"},
    "metrics": {"type": "x", "filepath": "data/metrics.json", "metadata": {"dvc": {"cache": False}}},
    "report": {"type": "x", "filepath": "data/report.html"},
    "store": {"type": "x", "path": "data/store", "metadata": {"dvc": {"stage": "shop", "persist": True}}},
    "views": {"type": "kedro.io.MemoryDataset", "copy_mode": "assign"},
}
PARAMETERS: dict[str, Any] = {
    "generator": {"steps": 4},
    "image_sets": {"w8": {"guidance_scale": 8}, "real": {}, "half": {"of": {"w8": 0.5, "real": 0.5}}},
    "arms": {"clip": {"method": "clip"}, "clip_real": {"method": "clip"}},
    "executor": {"num_cpu_processes": 2},
}


def work(*inputs: Any, **named: Any) -> Any:
    return inputs or named


def of_set(name: str, inputs: list[str]) -> Pipeline:
    taken = [f"params:image_sets.{name}", "params:generator", "params:executor"]
    graph = Pipeline(
        [
            node(work, [*inputs, "work", *taken], ["drawn", "manifest"], name="draw"),
            node(work, "drawn", "image_set", name="inspect"),
        ]
    )
    shared = {*inputs, "work"}
    output = {"image_set": f"image_set_of_{name}"}
    return pipeline(
        graph, inputs=shared, outputs=output, parameters=set(taken), namespace=f"image_sets.{name}"
    )


def of_arm(arm: str, seed: int, images: str) -> Pipeline:
    graph = Pipeline([node(work, [f"image_set_of_{images}", f"params:arms.{arm}"], "encoder", name="train")])
    return pipeline(
        graph,
        inputs={f"image_set_of_{images}"},
        outputs={"encoder": f"encoder_of_{arm}_seed_{seed}"},
        parameters={f"params:arms.{arm}"},
        namespace=f"training.{arm}.seed_{seed}",
    )


def image_sets() -> Pipeline:
    mixture = of_set("half", ["image_set_of_w8", "image_set_of_real"])
    return mixture + of_set("w8", ["captions"]) + of_set("real", ["photos"])


def training() -> Pipeline:
    return of_arm("clip", 0, "w8") + of_arm("clip", 1, "w8") + of_arm("clip_real", 0, "real")


def evaluation() -> Pipeline:
    encoders = [f"encoder_of_clip_seed_{seed}" for seed in (0, 1)]
    return Pipeline([node(work, encoders, "metrics", name="evaluate_encoders")])


def stages_of(
    room: str, graph: Pipeline, folder: Path, parameters: dict[str, Any] = PARAMETERS
) -> dict[str, Any]:
    return stages_of_room(room, graph, Datasets(CATALOG), parameters, Sources(folder))


def test_each_item_is_a_stage_that_runs_its_own_namespace(tmp_path: Path) -> None:
    stages = stages_of("training", training(), tmp_path)
    assert list(stages) == ["training-clip-seed_0", "training-clip-seed_1", "training-clip_real-seed_0"]
    command = stages["training-clip-seed_1"]["cmd"]
    assert command.endswith(
        'kedro run --namespaces training.clip.seed_1 --params "$(cat conf/dvc_params.txt)"'
    )


def test_inputs_become_deps_and_outputs_outs_with_their_options(tmp_path: Path) -> None:
    stage = stages_of("image_sets", image_sets(), tmp_path)["image_sets-w8"]
    assert stage["deps"] == ["data/captions.csv"]
    assert stage["outs"] == [{"data/sets/w8": {"persist": True}}, "data/sets/w8.parquet"]


def test_an_item_tracks_only_the_keys_that_it_takes(tmp_path: Path) -> None:
    stage = stages_of("image_sets", image_sets(), tmp_path)["image_sets-w8"]
    assert stage["params"] == ["generator", "image_sets.w8"]


def test_where_an_image_is_made_makes_no_stage_run_again(tmp_path: Path) -> None:
    assert "params:executor" in image_sets().inputs()
    stages = stages_of("image_sets", image_sets(), tmp_path)
    assert not [name for name, stage in stages.items() if "executor" in stage["params"]]


def test_a_mixture_stands_after_its_parts_and_depends_on_them(tmp_path: Path) -> None:
    stages = stages_of("image_sets", image_sets(), tmp_path)
    assert list(stages) == ["image_sets-real", "image_sets-w8", "image_sets-half"]
    assert stages["image_sets-half"]["deps"] == ["data/sets/real", "data/sets/w8"]


@pytest.mark.filterwarnings("ignore:Namespace '.' is interrupted")
def test_items_that_need_each_other_are_refused(tmp_path: Path) -> None:
    graph = Pipeline(
        [
            node(work, "captions", "begun", name="begin", namespace="a"),
            node(work, "begun", "continued", name="continue", namespace="b"),
            node(work, "continued", "ended", name="end", namespace="a"),
        ]
    )
    with pytest.raises(ConfigError, match="a, b: each needs another one first"):
        stages_of("image_sets", graph, tmp_path)


def test_a_room_without_items_is_one_stage(tmp_path: Path) -> None:
    stages = stages_of("evaluation", evaluation(), tmp_path)
    assert list(stages) == ["evaluation"]
    stage = stages["evaluation"]
    assert "kedro run --pipelines evaluation " in stage["cmd"]
    assert stage["deps"] == ["data/encoders/clip/seed_0", "data/encoders/clip/seed_1"]
    assert stage["outs"] == [{"data/metrics.json": {"cache": False}}]


def test_a_room_without_parameters_tracks_none_of_them(tmp_path: Path) -> None:
    # an empty list would track every key of params.yaml
    assert "params" not in stages_of("evaluation", evaluation(), tmp_path)["evaluation"]


def test_a_node_that_takes_all_parameters_depends_on_the_file(tmp_path: Path) -> None:
    graph = Pipeline([node(work, ["metrics", "parameters"], "report", name="build_report")])
    stage = stages_of("reporting", graph, tmp_path)["reporting"]
    assert stage["deps"] == ["data/metrics.json", "params.yaml"]
    assert "params" not in stage


def test_a_key_inside_another_one_is_not_listed_twice(tmp_path: Path) -> None:
    graph = Pipeline([node(work, ["metrics", "params:arms", "params:arms.clip"], "report", name="one")])
    assert stages_of("reporting", graph, tmp_path)["reporting"]["params"] == ["arms"]


def test_a_folder_among_the_inputs_that_its_room_fills_is_an_out(tmp_path: Path) -> None:
    graph = Pipeline([node(work, ["captions", "store"], "report", name="one")])
    stage = stages_of("shop", graph, tmp_path)["shop"]
    assert stage["deps"] == ["data/captions.csv"]
    assert stage["outs"] == [{"data/store": {"persist": True}}, "data/report.html"]
    assert stages_of("other", graph, tmp_path)["other"]["deps"] == ["data/captions.csv", "data/store"]


def test_a_namespace_inside_an_item_belongs_to_the_item(tmp_path: Path) -> None:
    graph = of_set("w8", ["captions"])
    inner = node(work, "metrics", "report", name="score", namespace="image_sets.w8.scoring")
    stages = stages_of("image_sets", graph + Pipeline([inner]), tmp_path)
    assert list(stages) == ["image_sets-w8"]
    assert "data/report.html" in stages["image_sets-w8"]["outs"]


def test_nodes_with_and_without_a_namespace_in_one_room_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="evaluate_encoders has no namespace"):
        stages_of("training", training() + evaluation(), tmp_path)


@pytest.mark.parametrize("dataset", ["gone", "views"])
def test_a_dataset_that_only_memory_keeps_cannot_pass_between_stages(tmp_path: Path, dataset: str) -> None:
    graph = Pipeline([node(work, dataset, "report", name="one")])
    with pytest.raises(ConfigError, match=f"dataset '{dataset}': .* must be kept on disk"):
        stages_of("reporting", graph, tmp_path)


def test_a_key_that_the_configuration_lacks_is_refused(tmp_path: Path) -> None:
    graph = Pipeline([node(work, ["metrics", "params:arms.missing"], "report", name="one")])
    with pytest.raises(ConfigError, match=r"params:arms\.missing: a node takes it"):
        stages_of("reporting", graph, tmp_path)


def test_a_name_that_dvc_does_not_allow_is_refused(tmp_path: Path) -> None:
    graph = Pipeline([node(work, "metrics", "report", name="one")])
    with pytest.raises(ConfigError, match="'a room' cannot be the name of a stage"):
        stages_of("a room", graph, tmp_path)


def test_a_stage_depends_on_its_functions_module_and_on_the_classes_in_its_keys(tmp_path: Path) -> None:
    files = [
        "pipelines/room/nodes.py",
        "pipelines/other.py",
        "src/stablerep/simclr.py",
        "src/stablerep/clip.py",
    ]
    for path in (tmp_path / name for name in files):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")

    def train(*inputs: Any) -> Any:
        return inputs

    train.__module__ = "pipelines.room.nodes"
    bound = functools.partial(functools.partial(train))
    graph = Pipeline([node(bound, ["metrics", "params:method.simclr"], "report", name="one")])
    targets = {name: {"_target_": f"stablerep.{name}.Method"} for name in ("simclr", "clip")}
    stage = stages_of("reporting", graph, tmp_path, {"method": targets})["reporting"]
    assert stage["deps"] == ["data/metrics.json", "pipelines/room", "src/stablerep/simclr.py"]


def test_only_what_the_default_run_has_and_what_is_shipped_become_stages(tmp_path: Path) -> None:
    rooms = {"image_sets": image_sets(), "training": training(), "evaluation": evaluation()}
    apart = {
        "tuning": Pipeline([node(work, "captions", "report", name="tune")]),
        "scorer": Pipeline([node(work, "params:scorer", "store", name="train_scorer")]),
    }
    everything = {**rooms, **apart, "__default__": sum(rooms.values(), Pipeline([]))}
    stages = dvc_yaml(everything, Datasets(CATALOG), PARAMETERS, Sources(tmp_path))["stages"]
    assert list(stages)[:2] == ["params", "scorer"]
    assert "tuning" not in stages
    assert len(stages) == 2 + 3 + 3 + 1
    assert stages["scorer"]["params"] == ["scorer"]
    assert "deps" not in stages["scorer"]


def test_two_items_whose_stages_have_one_name_are_refused(tmp_path: Path) -> None:
    rooms = {
        "training": Pipeline([node(work, "captions", "x", name="one", namespace="training.a")]),
        "training-a": Pipeline([node(work, "captions", "y", name="two")]),
    }
    everything = {**rooms, "__default__": sum(rooms.values(), Pipeline([]))}
    with pytest.raises(ConfigError, match="two stages are named 'training-a'"):
        dvc_yaml(everything, Datasets(CATALOG), PARAMETERS, Sources(tmp_path))


def test_a_dataset_of_kind_metrics_stands_among_the_metrics_of_its_stage(tmp_path: Path) -> None:
    metadata = {"dvc": {"kind": "metrics"}}
    entry = {"type": "x", "filepath": "data/metrics.json", "metadata": metadata}
    datasets = Datasets({**CATALOG, "metrics": entry})
    stage = stages_of_room("evaluation", evaluation(), datasets, PARAMETERS, Sources(tmp_path))["evaluation"]
    assert stage["metrics"] == ["data/metrics.json"]
    assert "outs" not in stage
