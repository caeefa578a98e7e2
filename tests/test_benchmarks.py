"""Every benchmark starts as its page says; what it measures is its own affair."""

import importlib
from pathlib import Path

import pytest

BENCHMARKS = sorted(
    path for path in (Path(__file__).parents[1] / "benchmarks").glob("*.py") if "__main__" in path.read_text()
)


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_its_first_command_starts_it_and_explains_its_options(path, monkeypatch, capsys):
    module = importlib.import_module(f"benchmarks.{path.stem}")
    assert f"python -m benchmarks.{path.stem}" in module.__doc__
    monkeypatch.setattr("sys.argv", [path.name, "--help"])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 0
    assert "usage: " in capsys.readouterr().out
