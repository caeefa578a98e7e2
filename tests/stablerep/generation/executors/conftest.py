"""A sampler that counts what it draws, in whatever process, and may kill that process."""

import importlib
import os
import sys
from collections import Counter
from types import SimpleNamespace

import pytest

from stablerep.generation.executors.local import LocalExecutor
from stablerep.generation.image_sets.image_set import ImageSetRequest, make_image_set
from stablerep.storage.shards import SHARDS_FOLDER

INKS = ("red", "teal", "navy")
DIGITS = ("one", "two", "three", "four", "five")
# A module of its own: the processes find it by their path, as they would a user's sampler.
_SAMPLER = """
import os, signal, time
from pathlib import Path
from diffusers import DPMSolverMultistepScheduler

from stablerep.generation.diffusion.scheduler import TRIAL_SHAPE

FOLDER = Path(os.environ["DRAWS_FOLDER"])

class CountingSampler(DPMSolverMultistepScheduler):
    def step(self, model_output, timestep, sample, **options):
        if tuple(sample.shape) == TRIAL_SHAPE:  # of the check before the first image
            return super().step(model_output, timestep, sample, **options)
        with open(FOLDER / "draws", "a") as file:
            file.write(f"{os.getpid()} {len(sample)}\\n")
        for order in list(FOLDER.glob("kill-*")):
            if int(order.name.partition("-")[2]) == len(sample):
                if order.read_text() == "once":
                    order.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(float((FOLDER / "slowly").read_text()) if (FOLDER / "slowly").exists() else 0)
        if (FOLDER / "fail").exists():
            sample = sample * float("nan")
        return super().step(model_output, timestep, sample, **options)
"""


@pytest.fixture
def sampler(tmp_path, monkeypatch):
    """Returns a scheduler class that counts and obeys, and what it counted.

    `kill(n, often)` kills the process that draws a batch of n images, once or always; `slowly(s)` has each
    step take longer; `fail()` makes images that are not finite. `steps()` counts the steps by the images of
    their batch, `processes()` are those that drew.
    """
    folder = tmp_path / "draws"
    folder.mkdir()
    (folder / "counting_sampler.py").write_text(_SAMPLER)
    monkeypatch.setenv("DRAWS_FOLDER", str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "counting_sampler", raising=False)
    importlib.import_module("counting_sampler")

    def column(number: int) -> list[int]:
        path = folder / "draws"
        lines = path.read_text().splitlines() if path.exists() else []
        return [int(line.split()[number]) for line in lines if len(line.split()) == 2]

    return SimpleNamespace(
        target={"_target_": "counting_sampler.CountingSampler"},
        kill=lambda num, often="once": (folder / f"kill-{num}").write_text(often),
        spare=lambda num: (folder / f"kill-{num}").unlink(),
        slowly=lambda seconds: (folder / "slowly").write_text(str(seconds)),
        fail=(folder / "fail").touch,
        steps=lambda: Counter(column(1)),
        processes=lambda: set(column(0)),
        forget=(folder / "draws").unlink,
    )


@pytest.fixture
def texts():
    """Returns captions of which five shards hold 1, 2, 3, 4 and 5."""
    return [f"a {ink} {digit}" for ink in INKS for digit in DIGITS]


@pytest.fixture
def make(tiny_generator, settings, captions_of, sampler, tmp_path):
    """Returns a function that makes an image set of texts in a folder, with an executor."""

    def run(texts, name, executor=None, **changes):
        chosen = settings(
            **({"scheduler": sampler.target, "num_shards": 5, "images_per_caption": 1} | changes)
        )
        store = tmp_path / name
        by = executor or LocalExecutor()
        manifest, ledger = make_image_set(
            ImageSetRequest(captions_of(texts), chosen, tiny_generator, store, 0, executor=by)
        )
        return SimpleNamespace(manifest=manifest, ledger=ledger, store=store)

    return run


@pytest.fixture
def shards_of():
    """Returns a function that gives the bytes of each shard and of the manifest."""

    def read(store):
        found = {path.name: path.read_bytes() for path in (store / SHARDS_FOLDER).iterdir()}
        return found | {"manifest": (store / "manifest.parquet").read_bytes()}

    return read
