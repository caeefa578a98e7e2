"""benchmarks/gpu.sh at a size for a CPU: every check gives its rows, and none takes another's."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import gpu

ROOT = Path(__file__).parents[1]
# what a machine without a package index is not asked to bring
ABSENT = {
    "hydra",
    "omegaconf",
    "kedro",
    "mlflow",
    "polars",
    "ray",
    "webdataset",
    "optuna",
    "pandera",
    "rensa",
}


def run_script(*options: str) -> str:
    environment = {**os.environ, "PYTHON": sys.executable}
    command = [str(ROOT / "benchmarks/gpu.sh"), "--miniature", *options]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def figures_of(path: Path) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in json.loads(path.read_text())["rows"]:
        found.setdefault(row["check"], []).append(row["value"])
    return found


@pytest.mark.slow
def test_every_check_gives_figures_at_miniature_size(tmp_path):
    out = tmp_path / "results.json"
    table = run_script("--out", str(out), "--limit-s", "900")
    found = figures_of(out)
    assert list(found) == list(gpu.CHECKS)
    assert all(math.isfinite(value) for values in found.values() for value in values), table
    assert {check: len(values) for check, values in found.items()} == {
        "peak": 1, "training": 9, "loss": 6, "step": 1, "generation": 5,
        "training_compiled": 1, "step_compiled": 1, "generation_compiled": 1,
    }  # fmt: skip
    assert "share" in json.loads(out.read_text())["rows"][2]


def test_the_table_and_the_file_hold_the_same_rows(tmp_path):
    out = tmp_path / "results.json"
    table = run_script("--only", "peak,loss", "--out", str(out)).splitlines()
    rows = json.loads(out.read_text())["rows"]
    assert [row["check"] for row in rows] == ["peak"] + ["loss"] * 6
    for row in rows:
        assert any(line.startswith(row["check"]) and row["name"] in line for line in table)


def test_the_papers_step_has_the_papers_head(monkeypatch):
    """The figures of a step are those of `experiment=paper`, BatchNorm of each view's slice included."""
    from pipelines.config.loader import compose
    from stablerep.models.heads import ProjectionHead
    from stablerep.models.settings import HeadSettings
    from stablerep.training import loop
    from stablerep.training.settings import SpeedSettings

    trained = []

    def noted(arm, networks, *rest):
        trained.append(networks.projector.head)
        raise InterruptedError

    monkeypatch.setattr(loop, "run_arm", noted)
    with pytest.raises(InterruptedError):
        next(gpu._chunked(gpu.MINIATURE, 1.0, SpeedSettings()))
    needed = {"corpus.path": "captions.csv", "evaluation_sets.imagenet.path": "imagenet"}
    composed = compose(ROOT / "conf/params", {"experiment": "paper", **needed})
    paper = HeadSettings.read(composed["encoder"]["head"])
    assert (gpu.Sizes().hidden, gpu.Sizes().out) == (paper.hidden_dim, paper.out_dim)
    (head,) = trained
    expected = ProjectionHead(
        head.layers[0].in_features, gpu.MINIATURE.hidden, gpu.MINIATURE.out, paper.kind, paper.batch_norm
    )
    assert head.batch_norm == expected.batch_norm
    assert head.state_dict().keys() == expected.state_dict().keys()


def test_a_check_that_fails_says_why_and_keeps_what_it_had(monkeypatch, capsys):
    def broken(sizes, peak_flops):
        yield gpu._row("a first figure", 1.0, "s")
        raise ZeroDivisionError("no device\nof that kind")

    monkeypatch.setattr(gpu, "loss", broken)
    gpu.run_check("loss", gpu.MINIATURE, 1.0)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["value"] == 1.0
    assert (second["check"], second["note"]) == ("loss", "failed: ZeroDivisionError: no device")


@pytest.mark.parametrize(
    ("code", "limit", "note"),
    [("import os; os._exit(3)", 60, "exit code 3"), ("import time; time.sleep(60)", 1, "ended after 1 s")],
)
def test_a_check_that_dies_or_takes_too_long_costs_its_own_rows(code, limit, note, monkeypatch, capsys):
    real = subprocess.Popen
    before = f"print('{json.dumps({'check': 'loss'} | gpu._row('a first figure', 1.0, 's'))}', flush=True); "
    monkeypatch.setattr(
        gpu.subprocess,
        "Popen",
        lambda command, **options: real([sys.executable, "-c", before + code], **options),
    )
    monkeypatch.setattr("sys.argv", ["gpu", "--only", "loss,step", "--limit-s", "90"])
    monkeypatch.setitem(gpu.CHECKS, "loss", limit)
    monkeypatch.setitem(gpu.CHECKS, "step", limit)
    gpu.main()
    told = capsys.readouterr().out
    assert told.count("a first figure") == 2 and told.count(note) == 2


def test_no_check_is_begun_without_time_for_it(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["gpu", "--only", "loss", "--limit-s", "5"])
    gpu.main()
    assert re.search(r"loss +not begun .* no time left", capsys.readouterr().out)


def test_the_checks_import_nothing_that_the_machine_is_not_asked_to_bring():
    modules = re.findall(r"^    from (\S+) import|^    import (\S+)$", Path(gpu.__file__).read_text(), re.M)
    names = sorted({one or other for one, other in modules})
    assert {"stablerep.training.loop", "stablerep.generation.diffusion.generator"} <= set(names)
    code = (
        f"import importlib, sys\nfor name in {names}: importlib.import_module(name)\n"
        "import kornia.augmentation, transformers, accelerate, timm\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert not ABSENT & set(done.stdout.split())


def test_the_wheels_are_those_of_the_lock():
    named = re.findall(r"([a-z-]+)==(\d[\w.]*)", (ROOT / "benchmarks/gpu.sh").read_text())
    assert len(named) == 10
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.M))
    assert dict(named) == {name: locked[name] for name, _ in named}
