"""Saves datasets in processes that are killed, or whose disk is full, in the middle of it.

`Saver` talks to a process of its own that has no threads, as a process with threads must not be forked. That
process forks a child for each save; a child costs milliseconds.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).parents[2]
_MAX_BYTES = 64  # of a file, where its writer is to fail; every sample is larger
FAULTS = ["killed while writing", "killed before the sync", "killed before the rename", "disk full"]
AFTER = "killed after "  # and a share of the time that a save takes


def table(version: int) -> Any:
    import pandas as pd

    frame = pd.DataFrame({"caption_id": [f"c-{version}-{n}" for n in range(50)], "score": 0.5 * version})
    frame.attrs["ledger"] = {"version": version}
    return frame


def lazy_table(version: int) -> Any:
    import polars as pl

    return pl.LazyFrame({"caption_id": [f"c-{version}-{n}" for n in range(50)]})


def figure(version: int) -> Any:
    from matplotlib.figure import Figure

    made = Figure(figsize=(1, 1))
    made.text(0.5, 0.5, str(version))
    return made


def image(version: int) -> Any:
    from PIL import Image

    return Image.new("RGB", (64, 48), (version, 20, 30))


def trained_arm(version: int) -> Any:
    import pandas as pd
    import torch

    from stablerep.models.text import TrainedText
    from stablerep.training.arms import TrainedArm

    history = pd.DataFrame({"step": [0, 1], "loss": [2.0, version]})
    config = {"_target_": "stablerep.models.residual.ResidualEncoder", "size_px": 32}
    weights = {"w": torch.full((64, 3), float(version))}
    tokenizer = {"tokenizer.json": f'{{"version": {version}}}' * 50, "tokenizer_config.json": "{}"}
    text = TrainedText({"width": version}, {"t": torch.full((64, 3), float(version))}, tokenizer)
    return TrainedArm("a", "clip", "real", 0, config, weights, history, text)


def image_set(version: int) -> Any:
    import pandas as pd

    from stablerep.image_sets.image_set import ImageSet

    ids = [f"c-{number:016x}" for number in range(50)]
    rows = {"image_id": [f"{each}.0" for each in ids], "caption_id": ids, "part": "x"}
    images = pd.DataFrame({**rows, "digest": [f"{number:032x}" for number in range(50)], "row": version})
    captions = pd.DataFrame({"caption_id": ids, "text": "a nine", "source": "s", "licence": "CC0-1.0"})
    return ImageSet("x", "rendered", images, captions, {"x": "rendered"}, Path("x"), None, {"seed": version})


def run_record(version: int) -> Any:
    import pandas as pd

    from stablerep.reporting.record import RunRecord

    key = {"arm": "a", "seed": range(50), "set": "s", "task": "t", "evaluation": "e", "metric": "accuracy"}
    figures = {"method": "m", "images": "x", "value": 0.5, "low": 0.4, "high": 0.6, "num_units": version}
    metrics, scores = (
        pd.DataFrame({**key, **figures}),
        pd.DataFrame({**key, "unit": "u", "score": 0.5 * version}),
    )
    images = pd.DataFrame({"set": "x", "caption_id": ["c-0"] * 50, "text": "a nine", "picture": "data:,"})
    facts: dict[str, Any] = {"x": {"num_images": version}}
    return RunRecord("e", [0], "headline", ["One seed."], {"seeds": [0]}, facts, {}, metrics, scores, images)


# of each type that nodes or hooks write: the name under which it is saved, and a sample of a version
SAMPLES: dict[str, tuple[str, Callable[[int], Any]]] = {
    "ParquetDataset": ("x.parquet", table),
    "LazyParquetDataset": ("x.parquet", lazy_table),
    "JSONDataset": ("x.json", lambda version: {"version": version, "names": ["a"] * 50}),
    "TextDataset": ("x.html", lambda version: f"<p>version {version}</p>" * 50),
    "SecondsDataset": ("x.json", lambda version: {f"node {n}": float(version) for n in range(50)}),
    "FigureDataset": ("x.png", figure),
    "ImageDataset": ("x.png", image),
    "EncoderDataset": ("a", trained_arm),
    "ImageSetDataset": ("x", image_set),
    "RunRecordDataset": ("x", run_record),
}


class Saver:
    """The process that forks."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.pipelines.dying_saves"],
            cwd=_PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def save(self, kind: str, folder: Path, version: int, fault: str) -> tuple[int, str]:
        """Returns the child's exit status (minus the signal that ended it) and what it raised."""
        assert self._process.stdin and self._process.stdout
        request = {"kind": kind, "folder": str(folder), "version": version, "fault": fault}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        status, message = json.loads(self._process.stdout.readline())
        return status, message

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=60)


def _kill(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _prepare(fault: str, seconds: float) -> None:
    """Makes this process fail while it saves; `seconds` is how long a save takes."""
    if fault.startswith(AFTER):
        # nothing handles the signal: it ends the process wherever it is, as SIGKILL does
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, max(1e-6, seconds * float(fault.removeprefix(AFTER))))
    elif fault in ("killed while writing", "disk full"):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_BYTES, _MAX_BYTES))
        # Python ignores the signal, and writing raises OSError; by default the signal ends the process
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN if fault == "disk full" else signal.SIG_DFL)
    elif fault == "killed before the sync":
        os.fsync = _kill
    else:
        import stablerep.storage.whole_folders

        os.rename = os.replace = _kill
        stablerep.storage.whole_folders._exchange = _kill


def _seconds_of_a_save(request: dict[str, Any]) -> float:
    """Measures a save in a place of its own."""
    import pipelines.datasets

    name, sample = SAMPLES[request["kind"]]
    with tempfile.TemporaryDirectory() as folder:
        dataset = getattr(pipelines.datasets, request["kind"])(str(Path(folder, name)))
        for version in (1, 2):  # the second replaces
            data, started = sample(version), time.perf_counter()
            dataset.save(data)
        return time.perf_counter() - started


def _save(request: dict[str, Any]) -> str:
    """Saves in this process; returns what is raised."""
    import pipelines.datasets

    name, sample = SAMPLES[request["kind"]]
    dataset = getattr(pipelines.datasets, request["kind"])(str(Path(request["folder"], name)))
    data = sample(request["version"])
    is_timed = request["fault"].startswith(AFTER)
    _prepare(request["fault"], _seconds_of_a_save(request) if is_timed else 0.0)
    try:
        dataset.save(data)
    except Exception as error:
        causes = [error, error.__cause__]
        return " <- ".join(f"{type(each).__name__}: {each}" for each in causes if each is not None)
    return ""


def _serve() -> None:
    # what children share is imported once; importing starts no threads
    import matplotlib.figure  # noqa: F401
    import pandas  # noqa: F401
    import polars  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    import pipelines.datasets  # noqa: F401

    for line in sys.stdin:
        request = json.loads(line)
        if request["kind"] == "EncoderDataset":
            import stablerep.training.arms
        if request["kind"] == "ImageSetDataset":
            import stablerep.image_sets.stored_set  # noqa: F401
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writer, _save(request).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as file:
            message = file.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps([status, message]), flush=True)


if __name__ == "__main__":
    _serve()
