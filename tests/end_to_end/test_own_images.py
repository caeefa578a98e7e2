"""A user's own photographs: real image sets, no generator, evaluated on their own held-out split."""

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

pytestmark = pytest.mark.slow
CIFAR = Path(os.environ.get("STABLEREP_SHARED_DATA", Path(__file__).parents[3] / "shared/data")) / "cifar10"
COLOURS = {"red": (200, 40, 40), "blue": (40, 40, 200)}


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


def coloured_images(number: int) -> list[tuple[str, bytes]]:
    """Returns images of 24 x 20 pixels as JPEG, each with its class."""
    random = np.random.default_rng(0)
    made = []
    for index in range(number):
        name = list(COLOURS)[index % len(COLOURS)]
        pixels = np.clip(np.array(COLOURS[name]) + random.normal(0, 30, (20, 24, 3)), 0, 255)
        stored = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(stored, "jpeg")
        made.append((name, stored.getvalue()))
    return made


def class_folders(folder: Path) -> str:
    for index, (name, stored) in enumerate(coloured_images(240)):
        path = folder / name / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stored)
    return f"corpus.path={folder}"


def images_with_metadata(folder: Path) -> str:
    folder.mkdir()
    lines = []
    for index, (name, stored) in enumerate(coloured_images(240)):
        (folder / f"{index}.jpg").write_bytes(stored)
        text = f"a {name} wall of house {index}"
        lines.append(json.dumps({"file_name": f"{index}.jpg", "text": text, "label": name}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return f"corpus.path={folder}"


def tar_shards(folder: Path) -> str:
    folder.mkdir()
    images = coloured_images(240)
    for shard in range(2):
        with tarfile.open(folder / f"{shard}.tar", "w") as archive:
            for index in range(shard, len(images), 2):
                name, stored = images[index]
                cls = str(list(COLOURS).index(name)).encode()
                members = {"jpg": stored, "cls": cls, "txt": f"a {name} wall of house {index}".encode()}
                for ending, content in members.items():
                    member = tarfile.TarInfo(f"{index:04d}.{ending}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
    return f"corpus=webdataset,corpus.path={folder}/*.tar"


@pytest.mark.parametrize(
    ("form", "arms"),
    [
        (class_folders, {"simclr_real"}),
        (images_with_metadata, {"simclr_real", "clip_real"}),
        (tar_shards, {"simclr_real", "clip_real"}),
    ],
)
def test_every_form_of_own_images_is_learned_from_and_evaluated(checkout, run, tmp_path, form, arms):
    corpus = form(tmp_path / "own")
    params = f"experiment=own_images,size=smoke,evaluation=[linear_probe,knn,zero_shot],{corpus}"
    finished = run("kedro", "run", "--params", params)
    assert finished.returncode == 0, finished.stderr[-4000:]
    metrics = pd.read_parquet(checkout / "data/07_model_output/metrics.parquet")
    # CLIP where there are captions
    assert set(metrics["arm"]) == {*arms, "untrained", "raw_pixels"}
    of_text = metrics[metrics["evaluation"] == "zero_shot"]
    assert set(of_text["arm"]) == arms & {"clip_real"}
    report = (checkout / "data/08_reporting/report.html").read_text()
    assert ("Zero-shot" in report) == ("clip_real" in arms)
    raw = metrics[(metrics["arm"] == "raw_pixels") & (metrics["metric"] == "accuracy")]
    assert raw["value"].eq(1).all(), "the mean colour tells the two classes apart"


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
