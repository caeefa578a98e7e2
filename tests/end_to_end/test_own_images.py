"""A user's own photographs: real image sets, no generator, evaluated on their own held-out split."""

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow
CIFAR = Path(__file__).parents[3] / "shared/data/cifar10"


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    """2,000 training and 500 test images of CIFAR-10 as Parquet."""
    if not CIFAR.is_dir():
        pytest.skip("CIFAR-10 is not there")
    folder = tmp_path / "cifar"
    folder.mkdir()
    for split, number in (("train", 2000), ("test", 500)):
        pd.read_parquet(CIFAR / f"{split}.parquet").sample(number, random_state=0).to_parquet(
            folder / f"{split}.parquet"
        )
    return folder


def test_own_images_go_from_a_folder_to_a_report(checkout, run, cifar):
    files = f"corpus.path={{train: {cifar}/train.parquet, test: {cifar}/test.parquet}}"
    params = f"experiment=own_images,size=smoke,corpus=parquet,{files},corpus.columns={{image: jpg}}"
    before = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in cifar.iterdir()}
    finished = run("kedro", "run", "--params", params)
    assert finished.returncode == 0, finished.stderr[-4000:]
    described = json.loads((checkout / "data/05_model_input/real/finished/image_set.json").read_text())
    assert described["source"] == "corpus"
    metrics = pd.read_parquet(checkout / "data/07_model_output/metrics.parquet")
    # there are no captions, so CLIP is left out
    assert set(metrics["arm"]) == {"simclr_real", "untrained", "raw_pixels"}
    assert set(metrics["evaluation"]) == {"linear_probe", "knn"}
    assert metrics["num_images"].eq(500).all()
    assert "simclr" in (checkout / "data/08_reporting/report.html").read_text().lower()
    assert not (checkout / "data/03_primary/caption_set.parquet").exists()
    after = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in cifar.iterdir()}
    assert after == before
