"""Writes dvc.yaml from the registered pipelines and the catalog, so that no stage is told twice.

`python -m pipelines.dvc.stages --write` writes it; `--check` ends with exit code 1 where it is not in step.
"""

import argparse
import glob
import itertools
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from kedro.pipeline import Pipeline
from parse import parse

PROJECT = Path(__file__).parents[2]
# What a room's nodes use: parts of the library, and modules beside the room. A change there makes the stage
# run again. A test holds them against all that the nodes import, and what is imported in its turn. errors.py
# and whole_files.py are left out: they shape messages and the way to the disk, no result.
SOURCES = {
    "curation": [
        "conf/words",
        "curation",
        "lazy_tables.py",
        "mutual_information.py",
        "records.py",
        "reporting/axes.py",
        "reporting/curation.py",
        "reporting/inline.py",
        "reporting/templates",
        "validation/schemas.py",
        "pipelines/config/build.py",
        "pipelines/config/model_folder.py",
        "pipelines/config/typed.py",
    ],
    "validation": ["validation", "batch.py", "losses", "mutual_information.py", "pipelines/config/build.py"],
    "generation": [
        "alignment",
        "generation",
        "models",
        "curation/filters.py",
        "curation/csv_lines.py",
        "curation/takedowns.py",
        "mutual_information.py",
        "processes.py",
        "seeding.py",
        "shards.py",
        "validation",
        "pipelines/config/chosen_scorer.py",
        "pipelines/config/build.py",
        "pipelines/config/model_folder.py",
    ],
    "training": [
        "training",
        "batch.py",
        "checkpoints.py",
        "corpora",
        "losses",
        "models",
        "seeding.py",
        "shards.py",
        "views.py",
        "pipelines/config/build.py",
        "pipelines/tracking/live_rows.py",
        "pipelines/config/model_folder.py",
    ],
    "evaluation": ["evaluation", "models", "corpora", "seeding.py"],
    "reporting": [
        "reporting",
        "alignment",
        "corpora",
        "curation",
        "evaluation",
        "lazy_tables.py",
        "models",
        "mutual_information.py",
        "seeding.py",
        "shards.py",
        "pipelines/config/chosen_scorer.py",
        "pipelines/config/model_folder.py",
        "pipelines/config/typed.py",
    ],
}
# The modules that compose params.yaml, and those of the library that know of keys and names.
PARAMS_SOURCES = [
    "pipelines/config/loader.py",
    "pipelines/config/params_option.py",
    "pipelines/config/schema.py",
    "pipelines/config/typed.py",
    "src/stablerep/alignment/settings.py",
    "src/stablerep/methods/batch.py",
    "src/stablerep/digit_scenes/grammar.py",
    "src/stablerep/curation/settings.py",
    "src/stablerep/generation/pretraining/recipe.py",
    "src/stablerep/generation/diffusion/settings.py",
]
# Made once and shipped: a change of its code makes nobody train for an hour, a change of its numbers does.
SHIPPED = {"pretraining": "pretraining_recipe", "scorer": "scorer_recipe"}
# Keys that stages take and DVC does not track: on how many processes or machines an image was made does not
# change it, and a stage must not run again because it was moved to another cluster.
UNTRACKED_KEYS = {"execution"}
_PARAMS_FILE = "params.yaml"
# So that `dvc repro` finds the project's programs without an activated environment.
_PATH = 'PATH="$PWD/.venv/bin:$PATH"'
_HEADER = """\
# Written by `python -m pipelines.dvc.stages --write` from the Kedro pipelines and the catalog: edit those.
# `dvc repro` runs what changed with the configuration of conf/params/config.yaml.
"""


def dvc_yaml() -> dict[str, Any]:
    """Returns the content of dvc.yaml."""
    from pipelines.pipeline_registry import register_pipelines

    catalog = yaml.safe_load((PROJECT / "conf/base/catalog.yml").read_text(encoding="utf-8"))
    pipelines = register_pipelines()
    stages: dict[str, Any] = {"params": _params_stage()}
    stages |= {name: _shipped_stage(name, catalog) for name in SHIPPED}
    for name in SOURCES:
        stages[name] = room_stage(name, pipelines[name], catalog)
    return {"stages": stages}


def _params_stage() -> dict[str, Any]:
    return {
        "cmd": f"{_PATH} python -m pipelines.config.loader {_PARAMS_FILE}",
        "deps": ["conf/params", *PARAMS_SOURCES],
        "outs": [{_PARAMS_FILE: {"cache": False}}],
    }


def _shipped_stage(name: str, catalog: dict[str, Any]) -> dict[str, Any]:
    return {
        "cmd": f"{_PATH} kedro run --pipelines {name}",
        "params": [SHIPPED[name]],
        "outs": _folders_of_stage(name, catalog),
    }


def source_path(part: str) -> str:
    """Returns the path of an entry of `SOURCES`: below the library, or named from the project's folder."""
    return part if part.startswith(("pipelines/", "conf/")) else f"src/stablerep/{part}"


def room_stage(name: str, pipeline: Pipeline, catalog: dict[str, Any]) -> dict[str, Any]:
    """Returns the stage of a room: files that its nodes read, keys that they take, files that they write."""
    files = [dataset for dataset in catalog if _is_versioned(dataset, catalog)]
    outputs = [dataset for dataset in files if _is_among(dataset, pipeline.all_outputs())]
    inputs = [dataset for dataset in files if _is_among(dataset, pipeline.inputs())]
    own = [dataset for dataset in inputs if _dvc_options(dataset, catalog).get("stage") == name]
    sources = [f"pipelines/{name}", *(source_path(part) for part in SOURCES[name])]
    taken = [part.removeprefix("params:") for part in pipeline.inputs() if part.startswith("params:")]
    keys = {part.split(".")[0] for part in taken} - UNTRACKED_KEYS
    stage: dict[str, Any] = {
        "cmd": f"{_PATH} kedro run --pipelines {name}",
        "deps": sorted([_path(dataset, catalog) for dataset in inputs if dataset not in own] + sources),
    }
    # an empty list would track every key of the file
    if "parameters" in pipeline.inputs():
        stage["deps"] = sorted([*stage["deps"], _PARAMS_FILE])
    elif keys:
        stage["params"] = sorted(keys)
    stage["outs"] = _folders_of_stage(name, catalog) + [_path(dataset, catalog) for dataset in outputs]
    return stage


def _is_among(entry: str, names: set[str]) -> bool:
    """Tells whether an entry of the catalog, which may be a pattern, is one of a pipeline's datasets."""
    return any(parse(entry, name) is not None for name in names)


def _dvc_options(dataset: str, catalog: dict[str, Any]) -> dict[str, Any]:
    options = catalog[dataset].get("metadata", {}).get("dvc", {})
    return options if isinstance(options, dict) else {}


def _is_versioned(dataset: str, catalog: dict[str, Any]) -> bool:
    return catalog[dataset].get("metadata", {}).get("dvc") != "untracked"


def _path(dataset: str, catalog: dict[str, Any]) -> str:
    entry = catalog[dataset]
    whole = _dvc_options(dataset, catalog).get("all")
    path = PurePosixPath(whole or entry.get("filepath") or entry["path"])
    # DVC takes no wildcards: of a glob it watches the folder above the first
    parts = list(itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
    return str(PurePosixPath(*parts))


def _folders_of_stage(stage: str, catalog: dict[str, Any]) -> list[Any]:
    """Returns the folders that a stage's nodes write by themselves, with DVC's options for them."""
    folders = []
    for dataset in catalog:
        options = dict(_dvc_options(dataset, catalog))
        if options.pop("stage", None) == stage:
            folders.append({_path(dataset, catalog): options} if options else _path(dataset, catalog))
    return folders


def main(arguments: list[str] | None = None) -> int:
    """Writes or checks dvc.yaml; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.dvc.stages")
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--write", action="store_true", help="write dvc.yaml")
    choice.add_argument("--check", action="store_true", help="exit code 1 where dvc.yaml is not in step")
    options = parser.parse_args(arguments)
    path = PROJECT / "dvc.yaml"
    text = _HEADER + yaml.safe_dump(dvc_yaml(), sort_keys=False, width=120)
    if options.write:
        path.write_text(text, encoding="utf-8")
        return 0
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return 0
    print(
        "dvc.yaml: not in step with the pipelines and the catalog. "
        "Run `python -m pipelines.dvc.stages --write` and commit it.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
