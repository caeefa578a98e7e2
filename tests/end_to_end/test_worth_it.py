"""Is synthetic worth it? From captions to the answer, on the embedded corpus and tiny."""

import json

import pandas as pd
import pytest

pytestmark = pytest.mark.slow
KEPT = tuple(f"simclr_{kind}_captions" for kind in ("real", "synthetic", "half")) + (
    "simclr_real_images",
    "simclr_synthetic_images",
    "simclr_real_compute",
)
METHODS, KINDS = ("simclr", "clip", "stablerep", "stablerep_plus"), ("real", "synthetic", "half")
ALL = [
    f"{method}_{kind}_{equal}"
    for method in METHODS
    for kind in KINDS
    for equal in ("images", "captions", "compute")
    if (kind, equal) != ("synthetic", "compute")
]


def test_a_run_answers_with_equal_numbers_and_equal_compute(checkout, run):
    fewer = ",".join(f"arms.{name}=null" for name in ALL if name not in KEPT)
    params = f"experiment=[smoke,worth_it],seeds=[0],set_metrics=[diversity],{fewer}"
    finished = run("kedro", "run", "--params", params)
    assert finished.returncode == 0, finished.stderr[-4000:]

    def size_of(name: str) -> tuple[int, int]:
        folder = checkout / f"data/05_model_input/{name}/finished"
        images = pd.read_parquet(folder / "images.parquet")
        return len(images), images["caption_id"].nunique()

    assert size_of("real_images")[0] == size_of("synthetic_images")[0] == size_of("half_images")[0]
    assert size_of("real_captions")[1] == size_of("synthetic_captions")[1] == size_of("half_captions")[1]
    assert size_of("synthetic_captions")[0] > size_of("real_captions")[0]

    facts = json.loads((checkout / "data/05_model_input/synthetic/finished/image_set.json").read_text())
    assert facts["facts"]["generation"]["total_seconds"] > 0
    encoders = checkout / "data/06_models/encoders"
    views = {
        name: pd.read_parquet(encoders / name / "seed_0/history.parquet")["images"].iloc[-1] for name in KEPT
    }
    assert views["simclr_real_compute"] > views["simclr_synthetic_captions"] == views["simclr_real_captions"]

    page = (checkout / "data/08_reporting/report.html").read_text()
    assert "Is synthetic worth it?" in page and "at equal compute, generation included" in page
    assert "One seed" in page
    written = run("python", "-m", "pipelines.reporting.worth_it")
    assert written.returncode == 0, written.stderr[-2000:]
    sentence = (checkout / "docs/worth_it.md").read_text().splitlines()[2]
    assert sentence.startswith("On ") and sentence in page.replace("&#39;", "'")
