"""`kedro run` of this project: faults in one message, exit code 1, nothing written."""

import errno
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pandas as pd
import pytest
from click.testing import CliRunner
from kedro.framework.cli.project import run as kedro_run
from kedro.io import DataCatalog, DatasetError
from kedro.validation.exceptions import DataValidationError

from pipelines import cli
from pipelines.datasets import ImageSetDataset
from pipelines.run.lock import hold_data_folder
from stablerep.errors import ConfigError, DataError
from tests.stablerep.image_sets.sets import rendered

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of its own, with Kedro's session replaced by what a test says."""
    monkeypatch.setattr(cli, "PROJECT", tmp_path)
    yield tmp_path


def invoke(monkeypatch: pytest.MonkeyPatch, does: Any, *arguments: str) -> Any:
    monkeypatch.setattr(kedro_run, "callback", does)
    return CliRunner().invoke(cli.cli, ["run", *arguments])


def fails(error: BaseException, cause: BaseException | None = None) -> Any:
    def run(**options: Any) -> None:
        raise error from cause

    return run


def test_run_takes_what_kedros_run_takes() -> None:
    own = {option.name for option in cli.cli.commands["run"].params}
    assert own == {option.name for option in kedro_run.params}


def test_options_reach_kedro_with_lists_whole(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    got: dict[str, Any] = {}
    arguments = ["--params", "method=[simclr,clip],seeds=[1,2]", "--pipelines", "curation,validation"]
    result = invoke(monkeypatch, lambda **options: got.update(options), *arguments)
    assert result.exit_code == 0, result.output
    assert got["params"] == {"method": ["simclr", "clip"], "seeds": [1, 2]}
    assert got["pipelines"] == ["curation", "validation"]
    assert got["runner"] == "SequentialRunner"


@pytest.mark.parametrize(
    "raised",
    [
        fails(DataError("captions.csv: no rows")),
        fails(DatasetError("wrapped"), DataError("captions.csv: no rows")),
        fails(RuntimeError("outer"), DatasetError("middle")),
    ],
)
def test_a_users_fault_is_one_message_and_exit_code_one(
    project: Path, monkeypatch: pytest.MonkeyPatch, raised: Any
) -> None:
    result = invoke(monkeypatch, raised)
    assert result.exit_code == 1
    if "outer" not in str(result.exception):
        assert "DataError: captions.csv: no rows" in result.stderr
        assert "Traceback" not in result.output


def test_a_fault_of_ours_while_a_users_fault_is_handled_keeps_its_traceback(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(**options: Any) -> None:
        try:
            raise DataError("captions.csv: no rows")
        except DataError:
            {}["rows"]

    result = invoke(monkeypatch, run)
    assert isinstance(result.exception, KeyError)
    assert "This is a bug in the project" in "".join(traceback.format_exception(result.exception))


def test_a_chain_that_leads_back_to_itself_ends(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner, outer = ConfigError("method.simclr.temperature: got 0"), RuntimeError("wrapped")
    inner.__cause__, outer.__cause__ = outer, inner
    result = invoke(monkeypatch, fails(outer, inner))
    assert result.exit_code == 1
    assert "ConfigError: method.simclr.temperature: got 0" in result.stderr


def test_a_fault_of_ours_keeps_its_traceback(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = invoke(monkeypatch, fails(ZeroDivisionError("ours")))
    assert isinstance(result.exception, ZeroDivisionError)
    assert "This is a bug in the project" in "".join(traceback.format_exception(result.exception))


def test_a_users_fault_is_not_called_one_of_ours(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = DataError("captions.csv: no rows")
    fault.add_note("In node curate_captions.")
    told = invoke(monkeypatch, fails(fault)).stderr
    assert told == "\nDataError: captions.csv: no rows\nIn node curate_captions.\n"


def test_a_missing_file_names_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = FileNotFoundError(2, "No such file or directory", "data/03_primary/caption_set.parquet")
    result = invoke(monkeypatch, fails(DatasetError("cannot load"), missing))
    assert result.exit_code == 1
    assert "caption_set.parquet: missing" in result.stderr


def test_a_wrong_table_names_the_dataset_and_its_node(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kedro.framework.project import configure_project

    configure_project("pipelines")
    wrong = DataValidationError("table Metrics: low", dataset_name="metrics", mode="load")
    result = invoke(monkeypatch, fails(wrong, DataError("table Metrics: low")))
    assert result.exit_code == 1
    told = "dataset 'metrics', which node 'evaluate_encoders' makes, is refused: table Metrics: low"
    assert told in result.stderr


def test_a_wrong_table_that_a_node_returns_keeps_its_traceback(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = {"type": "pipelines.datasets.ParquetDataset", "filepath": str(project / "metrics.parquet")}
    catalog = DataCatalog.from_config(
        {"metrics": table | {"validator": "stablerep.validation.schemas.Metrics"}}
    )
    result = invoke(monkeypatch, lambda **options: catalog.save("metrics", pd.DataFrame({"nonsense": [1]})))
    assert isinstance(result.exception, DataValidationError)
    printed = "".join(traceback.format_exception(result.exception))
    assert "'metrics' on save" in printed and "column 'nonsense': unknown" in printed
    assert "This is a bug in the project" in printed
    assert not (project / "metrics.parquet").exists()


def test_a_wrong_image_set_that_a_node_returns_keeps_its_traceback(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = rendered(project)
    made.images.loc[1, "image_id"] = made.images.loc[0, "image_id"]
    dataset = ImageSetDataset(str(project / "x"))
    result = invoke(monkeypatch, lambda **options: dataset.save(made))
    assert isinstance(result.exception, DataValidationError)
    assert "This is a bug in the project" in "".join(traceback.format_exception(result.exception))
    assert not (project / "x" / "finished").exists()


def test_a_full_disk_while_a_table_is_validated_is_one_message(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/data/x")
    wrong = DataValidationError(str(full), dataset_name="rejected_captions", mode="save")
    assert "DataError: /data/x: No space left" in invoke(monkeypatch, fails(wrong, full)).stderr


def test_a_run_that_is_typed_below_the_projects_folder_runs_in_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "docs" / "conf" / "params").mkdir(parents=True)
    (project / "docs" / "conf" / "params" / "config.yaml").touch()
    monkeypatch.chdir(project / "docs")
    got: list[Any] = []
    does = lambda **options: got.extend([Path.cwd(), options["conf_source"]])  # noqa: E731
    assert invoke(monkeypatch, does, "--conf-source", "conf").exit_code == 0
    assert got == [project, str(project / "docs" / "conf")], "what was typed is the user's, the rest is ours"
    assert Path.cwd() == project / "docs"


def test_a_second_run_ends_with_a_message(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hold_data_folder(project / "data"):
        result = invoke(monkeypatch, lambda **options: pytest.fail("must not run"))
    assert result.exit_code == 1
    assert "BusyError" in result.stderr


def test_params_without_a_value_end_with_a_message(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = invoke(monkeypatch, lambda **options: None, "--params", "experiment")
    assert result.exit_code == 1
    assert "ConfigError: --params: got 'experiment'" in result.stderr


@pytest.mark.parametrize("chosen", [["--pipelines", "training.nope.seed_0"], ["--nodes", "nope"]])
def test_an_unknown_part_of_the_graph_is_one_message(bare_project: Path, chosen: list[str]) -> None:
    kedro = Path(sys.executable).with_name("kedro")
    done = subprocess.run(
        [kedro, "run", *chosen], cwd=bare_project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"{chosen[0]}: got {chosen[1]!r}; must be one of" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_lists_each_command_once(bare_project: Path) -> None:
    kedro = Path(sys.executable).with_name("kedro")
    done = subprocess.run([kedro, "--help"], cwd=bare_project, capture_output=True, text=True, check=False)
    commands = [
        line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ") and line.strip()
    ]
    assert commands.count("run") == 1


def test_help_tells_of_lists() -> None:
    result = CliRunner().invoke(cli.cli, ["run", "--help"])
    assert "method=[simclr,clip]" in result.output
    assert isinstance(cli.cli, click.Group)


def test_a_command_of_the_project_typed_elsewhere_says_where_it_belongs(tmp_path: Path) -> None:
    kedro = Path(sys.executable).with_name("kedro")
    done = subprocess.run([kedro, "run"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"ConfigError: kedro run: got the folder {tmp_path}" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_command_typed_below_the_projects_folder_logs_as_in_it(bare_project: Path) -> None:
    kedro = Path(sys.executable).with_name("kedro")
    told = []
    for folder in (bare_project, bare_project / "docs"):
        command = [kedro, "run", "--params", "generator.guidance_scal=3"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        told.append(done.stderr)
        # the one line that Kedro writes before it knows of the project
        lines = [line for line in done.stdout.splitlines() if "Kedro project" in line]
        assert lines == []
    assert told[0] == told[1]


def test_what_a_node_raises_is_told_once_without_the_runners_hints() -> None:
    # with the project's logging, in a process of its own
    code = (
        "import logging, logging.config, yaml\n"
        "logging.config.dictConfig(yaml.safe_load(open('conf/logging.yml')))\n"
        "from kedro.io import DataCatalog\n"
        "from kedro.pipeline import Pipeline, node\n"
        "from kedro.runner import SequentialRunner\n"
        "SequentialRunner().run(Pipeline([node(lambda: 1 / 0, None, 'a', name='one')]), DataCatalog({}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.stderr.count("division by zero") == 1
    assert "No nodes ran" not in done.stderr


def test_kedros_own_commands_work_anywhere(tmp_path: Path) -> None:
    kedro = Path(sys.executable).with_name("kedro")
    done = subprocess.run([kedro, "info"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "stablerep" in done.stdout
