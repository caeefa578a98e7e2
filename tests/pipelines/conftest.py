"""The project without what runs and users put into its folder."""

import shutil
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def bare_project(tmp_path: Path) -> Path:
    """A folder with the project's code and configuration, and no data, no runs and no local configuration.

    A command that is typed there takes no lock of this checkout's data, and writes nothing into it.
    """
    folder = tmp_path / "project"
    (folder / "conf" / "local").mkdir(parents=True)
    (folder / "docs").mkdir()
    # copied, for Kedro may write to them
    for name in (".telemetry", "pyproject.toml", "conf/logging.yml"):
        shutil.copy(PROJECT / name, folder / name)
    for name in ("pipelines", "src", "conf/base", "conf/params", "conf/words"):
        (folder / name).symlink_to(PROJECT / name)
    return folder
