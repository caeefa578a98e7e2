"""What a run would stumble over is told before its first node, and leaves the data as they were."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset

from pipelines.config_loader import compose
from pipelines.pipeline_registry import register_pipelines
from pipelines.preflight import DRAWING, TRAINING, check_before_run
from stablerep.errors import DataError, GeneratorError

PROJECT = Path(__file__).parents[2]
GENERATOR = PROJECT / "data/06_models/generator"


def catalog(num_captions: int = 1024, generator: Path = GENERATOR) -> DataCatalog:
    captions = pd.DataFrame({"caption": ["a nine"] * num_captions})
    return DataCatalog(
        {
            "captions": MemoryDataset(captions),
            "generator_folder": MemoryDataset(generator, copy_mode="assign"),
        }
    )


def check(pipeline: str, given: DataCatalog, **runtime: Any) -> None:
    parameters = compose(PROJECT / "conf/params", runtime)
    check_before_run(register_pipelines()[pipeline], given, parameters)


def test_the_nodes_that_are_looked_for_are_registered() -> None:
    names = {node.name for pipeline in register_pipelines().values() for node in pipeline.nodes}
    assert {*DRAWING, TRAINING} <= names


@pytest.mark.parametrize("pipeline", sorted(register_pipelines()))
def test_what_ships_passes(pipeline: str) -> None:
    check(pipeline, catalog())


@pytest.mark.parametrize("pipeline", ["__default__", "generation", "tuning"])
def test_a_missing_model_is_told_where_images_are_drawn(pipeline: str, tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match="nowhere: no such folder"):
        check(pipeline, catalog(generator=tmp_path / "nowhere"))


@pytest.mark.parametrize("pipeline", ["curation", "evaluation", "pretraining"])
def test_a_missing_model_hinders_no_run_that_draws_nothing(pipeline: str, tmp_path: Path) -> None:
    check(pipeline, catalog(generator=tmp_path / "nowhere"))


def test_too_few_captions_are_told_where_curation_and_training_run() -> None:
    with pytest.raises(DataError, match="captions: got 127; must be at least 128"):
        check("__default__", catalog(127))
    check("__default__", catalog(128))
    check("curation", catalog(127))


def test_a_limit_of_the_captions_counts() -> None:
    with pytest.raises(DataError, match="captions: got 100; must be at least 128"):
        check("__default__", catalog(1024), captions={"max_captions": 100})


def test_a_fault_starts_no_tracked_run_and_no_node(tmp_path: Path) -> None:
    # in another process, for Kedro keeps the project that it was configured for
    code = (
        "from kedro.framework.startup import bootstrap_project as b\n"
        "from kedro.framework.session import KedroSession as S\n"
        "import sys\n"
        f"b({str(PROJECT)!r})\n"
        "params = {'generation': {'model_folder': '/nowhere'}}\n"
        f"with S.create({str(PROJECT)!r}, runtime_params=params) as session:\n"
        "    try: session.run(pipeline_names=['generation'])\n"
        "    except Exception as error: print(type(error).__name__, 'pipelines.tracking' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "GeneratorError False"
