"""How long the gates take: on the shipped captions with the import, and by number of rows.

    python -m benchmarks.gate [--rows 10000 100000] [--rounds 3]

Each figure is of a process of its own. The caption gate is the default's, with terms and pairs; its captions
are the grammar's with a number behind each, so that no two are equal, and a set that fails everywhere is
timed beside one that passes. Of the image gate the rules and the comparison of hashes are timed, its measures
and hashes drawn at random: images are not decoded here, which is linear by nature. Linear means that the
seconds beyond those of the shipped captions, most of which are the import, grow no faster than the rows.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]
KINDS = ("captions", "captions that fail", "images")


def _captions(num_rows: int, fails: bool) -> Any:
    import numpy as np
    import pandas as pd

    from stablerep.caption_ids import caption_id_of
    from stablerep.digit_scenes.grammar import draw_attributes, write_caption

    rng = np.random.default_rng(0)
    texts = [f"{write_caption(draw_attributes(rng), rng)} {number}" for number in range(num_rows)]
    licence = None if fails else "CC0-1.0"
    ids = [caption_id_of(text) for text in texts]
    lines = range(2, num_rows + 2)
    return pd.DataFrame({"caption_id": ids, "text": texts, "source": "s", "licence": licence, "line": lines})


def _shipped() -> Any:
    import pandas as pd

    from stablerep.caption_ids import caption_id_of

    frame = pd.read_csv(PROJECT / "data/01_raw/captions.csv", dtype="str").rename(columns={"caption": "text"})
    frame.insert(0, "caption_id", frame["text"].map(caption_id_of))
    return frame.assign(line=range(2, len(frame) + 2))


def _time_captions(gates: dict[str, Any], frame: Any, folder: Path) -> float:
    from stablerep.errors import GateError

    started = time.perf_counter()
    from stablerep.validation.gate import check_captions

    try:
        check_captions(frame, gates, folder)
    except GateError:
        if frame["licence"].notna().all():
            raise
    return time.perf_counter() - started


def _time_images(gates: dict[str, Any], num_rows: int, folder: Path) -> float:
    import numpy as np

    from stablerep.generation.image_sets.image_hash import nearest_hashes

    rng = np.random.default_rng(0)
    captions = _captions(max(1, num_rows // 4), fails=False)
    images = captions[["caption_id", "text"]].loc[captions.index.repeat(4)].head(num_rows)
    images = images.assign(image_index=np.arange(len(images)) % 4, decodable=True, digest_matches=True)
    images = images.assign(width_px=32, height_px=32, wanted_size_px=32, pixel_std=0.2, alignment=0.9)
    images = images.assign(duplicate_of=None, evaluation_text=None, near_duplicate_of=None).reset_index(
        drop=True
    )
    captions = captions.assign(num_images=4, num_wanted=4, num_stored=4, diversity=0.2)
    hashes = [rng.bytes(32) for _ in range(len(images))]
    started = time.perf_counter()
    from stablerep.validation.gate import check_images

    images["hash_distance_bits"], _ = nearest_hashes(hashes)
    check_images(images, captions, gates, folder)
    return time.perf_counter() - started


def measure(kind: str, num_rows: int) -> float:
    """Returns the seconds of one gate, the import of Great Expectations among them."""
    from pipelines.config.loader import compose

    gates = compose(PROJECT / "conf/params", {})["validation"]
    with tempfile.TemporaryDirectory() as folder:
        if kind == "images":
            return _time_images(gates, num_rows, Path(folder))
        frame = _captions(num_rows, kind == "captions that fail") if num_rows else _shipped()
        return _time_captions(gates, frame, Path(folder))


def main() -> None:
    """Prints the table and the headlines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=2, metavar=("KIND", "ROWS"), help="used by the script itself")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], int(options.one[1]))))
        return
    cases = [("captions", 0), *((kind, rows) for rows in options.rows for kind in KINDS)]
    seconds: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
    for _ in range(options.rounds):
        for kind, rows in cases:
            command = [sys.executable, "-m", "benchmarks.gate", "--one", kind, str(rows)]
            done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
            seconds[kind, rows].append(float(done.stdout.splitlines()[-1]))
    print("| gate | rows | seconds, median | lowest to highest |\n|---|---|---|---|")
    for (kind, rows), taken in seconds.items():
        spread = f"{min(taken):.1f} to {max(taken):.1f}"
        print(f"| {kind} | {rows or 'shipped'} | {statistics.median(taken):.1f} | {spread} |")
    print(f"import and run on the shipped captions = {statistics.median(seconds['captions', 0]):.1f} s")


if __name__ == "__main__":
    main()
