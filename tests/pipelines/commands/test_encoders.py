"""`stablerep export-encoder`, on a project with two trained arms."""

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from click.testing import CliRunner, Result

from pipelines.commands import attribution
from pipelines.commands.stablerep import stablerep
from pipelines.config.evaluation import rebuild_encoder
from pipelines.datasets import EncoderDataset
from stablerep.evaluation.features import encoder_digest
from stablerep.models.encoders import build_encoder
from stablerep.storage.digests import faults_of_files
from stablerep.training.arms import TrainedArm
from tests.stablerep.image_sets.sets import ORIGIN

ROOT = Path(__file__).parents[3]
CONFIG = {"_target_": "stablerep.models.encoders.TimmEncoder", "name": "test_vit", "size_px": 32}


def arm(name: str, seed: int) -> TrainedArm:
    torch.manual_seed(seed)
    history = pd.DataFrame({"step": [20, 40], "images": [640, 1280], "loss": [2.0, 1.5]})
    weights = build_encoder(CONFIG).state_dict()
    return TrainedArm(name, "simclr", "synthetic", seed, CONFIG, weights, history, None, ORIGIN)


def digest_of(trained: TrainedArm) -> str:
    return encoder_digest(rebuild_encoder(trained.encoder_config, trained.weights), trained.encoder_config)


def metrics_of(trained: TrainedArm, value: float) -> dict[str, object]:
    return {
        "arm": trained.name, "seed": trained.seed, "method": "simclr", "images": "synthetic",
        "encoder": digest_of(trained), "set": "photos", "task": "class", "evaluation": "knn", "version": 1,
        "metric": "accuracy", "value": value, "low": value, "high": value, "num_units": 9, "num_images": 9,
        "validation": value, "chosen": "",
    }  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("local"))
    (tmp_path / "conf/local").mkdir()
    encoders = tmp_path / "data/06_models/encoders"
    for name, seed in (("one", 0), ("two", 0), ("two", 1)):
        EncoderDataset(str(encoders / name / f"seed_{seed}")).save(arm(name, seed))
    folder = tmp_path / "data/07_model_output"
    folder.mkdir()
    rows = [metrics_of(arm("one", 0), 0.75), metrics_of(arm("two", 1), 0.25)]
    pd.DataFrame(rows).to_parquet(folder / "metrics.parquet")
    monkeypatch.setattr(attribution, "PROJECT", tmp_path)
    return tmp_path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(stablerep, ["export-encoder", *map(str, arguments)])


def test_an_encoder_is_exported_with_a_card_of_its_data_and_metrics(project: Path) -> None:
    done = call("one", project / "out")
    assert done.exit_code == 0, done.output
    names = {path.name for path in (project / "out").iterdir()}
    assert names == {"config.json", "model.safetensors", "README.md", "SHA256SUMS"}
    assert not faults_of_files(project / "out")
    card = (project / "out/README.md").read_text()
    assert "| mine | CC0-1.0 | 2 |" in card
    assert "| photos | class | knn | accuracy | 0.7500 (0.7500 to 0.7500) | 9 |" in card
    assert "| steps | 40 |" in card and "0.25" not in card


def test_the_seed_chooses_the_encoder(project: Path) -> None:
    refused = call("two", project / "out")
    assert refused.exit_code == 1
    assert "--seed: is missing; must be one of 0, 1, of arm 'two'." in refused.output
    refused = call("two", project / "out", "--seed", 7)
    assert "--seed: got 7; must be one of 0, 1, of arm 'two'." in refused.output
    done = call("two", project / "out", "--seed", 1, "--format", "torch")
    assert done.exit_code == 0, done.output
    program = torch.export.load(project / "out/encoder.pt2").module()
    images = torch.rand(2, 3, 32, 32)
    trained = arm("two", 1)
    expected = rebuild_encoder(trained.encoder_config, trained.weights).eval()(images)
    torch.testing.assert_close(program(images), expected, rtol=1e-3, atol=1e-5)
    assert "0.2500 (0.2500 to 0.2500)" in (project / "out/README.md").read_text()


def test_metrics_of_an_earlier_training_do_not_stand_on_the_card(project: Path) -> None:
    trained = arm("one", 0)
    other = {name: 2 * weight for name, weight in trained.weights.items()}
    folder = project / "data/06_models/encoders/one/seed_0"
    EncoderDataset(str(folder)).save(replace(trained, weights=other))
    assert call("one", project / "out").exit_code == 0
    assert "Not evaluated yet" in (project / "out/README.md").read_text()


def test_the_metrics_of_an_earlier_release_do_not_hinder_an_export(project: Path) -> None:
    path = project / "data/07_model_output/metrics.parquet"
    pd.read_parquet(path).drop(columns="encoder").to_parquet(path)
    assert call("one", project / "out").exit_code == 0


def test_a_folder_with_files_is_left_alone(project: Path) -> None:
    (project / "out").mkdir()
    (project / "out/mine.txt").write_text("mine")
    done = call("one", project / "out")
    assert done.exit_code == 1 and "out: is not empty; must be a new or empty folder" in done.output
    assert [path.name for path in (project / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tow",), "arm: got 'tow'; must be one of one, two. Did you mean 'two'?"),
        (("one", "--format", "onxx"), "--format: got 'onxx'; must be one of onnx, timm, torch."),
    ],
)
def test_a_wrong_name_is_refused_with_the_known_ones(
    project: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = call(arguments[0], project / "out", *arguments[1:])
    assert done.exit_code == 1 and message in done.output
    assert not (project / "out").exists()


def test_a_project_without_encoders_says_how_to_train_one(project: Path) -> None:
    shutil.rmtree(project / "data/06_models/encoders")
    done = call("one", project / "out")
    assert done.exit_code == 1 and "Train one: kedro run --pipelines training" in done.output


def test_a_damaged_encoder_is_not_exported(project: Path) -> None:
    path = project / "data/06_models/encoders/one/seed_0/encoder.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    done = call("one", project / "out")
    assert (
        done.exit_code == 1 and "encoder.safetensors is not the file that SHA256SUMS records" in done.output
    )
    assert not (project / "out").exists()


def test_the_images_of_an_arm_come_back_with_its_encoder(project: Path) -> None:
    assert EncoderDataset(str(project / "data/06_models/encoders/one/seed_0")).load().data == ORIGIN
    card = (project / "data/06_models/encoders/one/seed_0/timm/README.md").read_text()
    assert "| mine | CC0-1.0 | 2 |" in card and "Not evaluated yet" in card
