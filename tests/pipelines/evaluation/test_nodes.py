"""Adapters of the evaluation room: every arm and both references, on every evaluation set."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipelines.config.evaluation import (
    build_evaluations,
    open_evaluation_set,
    rebuild_encoder,
    rebuild_text_tower,
    untrained_encoder,
    validation_scores,
)
from pipelines.evaluation.nodes import evaluate_encoders
from stablerep.errors import ConfigError, DataError
from stablerep.evaluation.features import encoder_digest
from stablerep.evaluation.raw_pixels import fit_pixel_components
from stablerep.models.encoders import build_encoder
from stablerep.models.pretrained import load_pretrained
from stablerep.models.text import TrainedText, build_text_tower, tokenize
from stablerep.models.tokenizer import build_tokenizer, tokenizer_files, tokenizer_of_files
from stablerep.seeding import seed_everything
from stablerep.training.arms import TrainedArm
from stablerep.validation.schemas import Metrics, UnitScores

PROJECT = Path(__file__).parents[3]
CONFIG = {
    "_target_": "stablerep.models.residual.ResidualEncoder",
    "channels": [4],
    "map_channels": 2,
    "size_px": 8,
}
SET = {
    "_target_": "stablerep.digit_scenes.corpus.EvaluationScenes",
    "num_train": 100,
    "num_validation_per_hand": 1,
    "num_test_per_hand": 1,
}
EVALUATION = {
    "linear_probe": {
        "_target_": "stablerep.evaluation.linear_probe.LinearProbe",
        "inverse_strengths": [0.1],
    },
    "knn": {"_target_": "stablerep.evaluation.knn.NearestNeighbours", "num_neighbours": 5},
}


REFERENCES = {
    "untrained": {"kind": "untrained"},
    "raw_pixels": {"kind": "raw_pixels", "num_components": 16},
}
CALIBRATION = {"calibration": {"_target_": "stablerep.evaluation.calibration.Calibration"}}
ZERO_SHOT = {"zero_shot": {"_target_": "stablerep.evaluation.zero_shot.ZeroShot"}}


def an_arm(name: str = "mine", seed: int = 0) -> TrainedArm:
    weights = build_encoder(CONFIG).state_dict()
    return TrainedArm(name, "simclr", "real", seed, CONFIG, weights, pd.DataFrame())


def an_arm_with_text(name: str = "clip") -> TrainedArm:
    tokenizer = build_tokenizer(["a seven in red ink", "a nine"], max_tokens=12)
    sizes = {"width": 8, "num_layers": 1, "num_heads": 2, "out": 4}
    tower = build_text_tower(build_encoder(CONFIG).num_features, tokenizer, **sizes)
    text = TrainedText(sizes, tower.state_dict(), tokenizer_files(tokenizer))
    return replace(an_arm(name), method="clip", text=text)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    from pipelines.config.corpus import build_evaluation_set, index_of

    return index_of(build_evaluation_set("own", SET), "evaluation_sets.own", None)


def evaluated(
    folder: Path,
    table: pd.DataFrame,
    evaluation: dict[str, Any] = EVALUATION,
    references: dict[str, Any] = REFERENCES,
    **arms: TrainedArm,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    return evaluate_encoders(
        folder,
        evaluation,
        {"own": SET},
        {"backbone": CONFIG},
        references,
        {"num_bootstrap": 100},
        [3],
        evaluation_set_of_own=table,
        **arms,
    )


def test_every_arm_and_both_references_are_scored_on_every_task(tmp_path: Path, table: pd.DataFrame) -> None:
    arms = {f"encoder_of_mine_seed_{seed}": an_arm(seed=seed) for seed in (3, 4)}
    metrics, units = evaluated(tmp_path, table, **arms)
    Metrics.validate(metrics)
    UnitScores.validate(units)
    facts = metrics.drop_duplicates(["arm", "seed"])[["arm", "seed", "method", "images"]]
    assert facts.to_numpy().tolist() == [
        ["mine", 3, "simclr", "real"],
        ["mine", 4, "simclr", "real"],
        ["untrained", 3, "none", "none"],
        ["raw_pixels", 3, "none", "none"],
    ]
    of_arms = metrics[metrics["arm"] == "mine"]
    for seed in (3, 4):
        encoder = rebuild_encoder(CONFIG, arms[f"encoder_of_mine_seed_{seed}"].weights)
        assert set(of_arms["encoder"][of_arms["seed"] == seed]) == {encoder_digest(encoder, CONFIG)}
    labelled, pixels = open_evaluation_set("own", SET, table)
    components = fit_pixel_components(pixels, labelled.rows("train"), 16, 3)
    assert set(metrics["encoder"][metrics["arm"] == "raw_pixels"]) == {encoder_digest(components, {})}
    assert set(metrics["set"]) == {"own"}
    assert set(metrics["evaluation"]) == {"linear_probe", "knn"}
    assert metrics["task"].nunique() == 4
    assert (metrics["num_units"] == 450).all()
    assert len(units) == 4 * 2 * 4 * 450


def test_a_model_of_one_s_own_is_a_reference_under_any_name(tmp_path: Path, table: pd.DataFrame) -> None:
    import timm
    from safetensors.torch import save_file

    folder = tmp_path / "mine"
    folder.mkdir()
    net = timm.create_model("test_resnet", pretrained=False)
    save_file(
        {name: each.contiguous() for name, each in net.state_dict().items()}, folder / "model.safetensors"
    )
    config = {"architecture": "test_resnet", "pretrained_cfg": {"input_size": [3, 32, 32]}}
    (folder / "config.json").write_text(json.dumps(config))
    references = {
        "dinov3": {"kind": "pretrained", "model": "test_resnet", "weights": str(folder)},
        "pixels": {"kind": "raw_pixels", "num_components": None},
    }
    metrics, units = evaluated(
        tmp_path / "work", table, references=references, encoder_of_mine_seed_3=an_arm()
    )
    Metrics.validate(metrics)
    UnitScores.validate(units)
    facts = metrics.drop_duplicates("arm")[["arm", "method", "images"]]
    assert facts.to_numpy().tolist() == [
        ["mine", "simclr", "real"],
        ["dinov3", "pretrained", "none"],
        ["pixels", "none", "none"],
    ]
    encoder = load_pretrained("test_resnet", folder)
    assert set(metrics["encoder"][metrics["arm"] == "dinov3"]) == {encoder_digest(*encoder)}
    widths = sorted(np.load(path, mmap_mode="r").shape[1] for path in (tmp_path / "work").glob("*.train.npy"))
    assert widths == sorted([build_encoder(CONFIG).num_features, encoder[0].num_features, 3072])


def test_references_can_be_left_out(tmp_path: Path, table: pd.DataFrame) -> None:
    metrics, _ = evaluated(tmp_path, table, references={}, encoder_of_mine_seed_3=an_arm())
    assert set(metrics["arm"]) == {"mine"}


def test_features_are_kept_for_the_next_run_and_no_others(
    tmp_path: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "of_another_encoder.npy").write_bytes(b"old")
    arm = an_arm()
    first, _ = evaluated(tmp_path, table, encoder_of_mine_seed_3=arm)
    kept = {path.name for path in tmp_path.iterdir()}
    assert "of_another_encoder.npy" not in kept
    monkeypatch.setattr(
        "stablerep.evaluation.features.EncoderFeatures._compute", lambda *_: pytest.fail("computed again")
    )
    again, _ = evaluated(tmp_path, table, encoder_of_mine_seed_3=arm)
    pd.testing.assert_frame_equal(again, first)
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_arms_with_a_text_tower_are_classified_zero_shot_and_no_others(
    tmp_path: Path, table: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    arms = {"encoder_of_mine_seed_0": an_arm(), "encoder_of_clip_seed_0": an_arm_with_text()}
    with caplog.at_level("INFO"):
        metrics, units = evaluated(tmp_path, table, EVALUATION | ZERO_SHOT, **arms)
    Metrics.validate(metrics)
    UnitScores.validate(units)
    assert metrics.groupby("evaluation")["arm"].unique().map(list).to_dict() == {
        "linear_probe": ["mine", "clip", "untrained", "raw_pixels"],
        "knn": ["mine", "clip", "untrained", "raw_pixels"],
        "zero_shot": ["clip"],
    }
    assert metrics.query("evaluation == 'zero_shot'")["task"].tolist() == [
        "digit",
        "ink",
        "ground",
        "texture",
    ]
    for arm in ("mine", "untrained", "raw_pixels"):
        assert f"{arm}: no zero_shot, it has no text tower" in caplog.text
    again, _ = evaluated(tmp_path, table, EVALUATION | ZERO_SHOT, **arms)
    pd.testing.assert_frame_equal(again, metrics)
    without, _ = evaluated(tmp_path, table, **arms)
    rest = metrics.query("evaluation != 'zero_shot'").reset_index(drop=True)
    pd.testing.assert_frame_equal(without, rest)


def test_evaluations_that_need_images_are_given_them_and_their_features_are_kept(
    tmp_path: Path, table: pd.DataFrame
) -> None:
    package = "stablerep.evaluation"
    evaluation = {
        "robustness": {"_target_": f"{package}.robustness.Robustness", "benchmark": "cifar10_c"},
        "fine_tuning": {"_target_": f"{package}.fine_tuning.FineTuning", "shares": [0.2], "num_steps": 2},
    }
    metrics, units = evaluated(tmp_path, table, evaluation, encoder_of_mine_seed_3=an_arm())
    Metrics.validate(metrics)
    UnitScores.validate(units)
    counted = metrics.groupby(["arm", "evaluation"])["metric"].nunique().to_dict()
    arms = ("mine", "untrained", "raw_pixels")
    assert counted == {
        (arm, name): num for arm in arms for name, num in (("robustness", 26), ("fine_tuning", 1))
    }
    assert len(list(tmp_path.glob("*.test.npy"))) == 3 * 21


def test_text_towers_are_not_built_where_no_evaluation_needs_them(
    tmp_path: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[TrainedText] = []

    def noted(text: TrainedText, num_features: int) -> Any:
        built.append(text)
        return rebuild_text_tower(text, num_features)

    monkeypatch.setattr("pipelines.evaluation.nodes.rebuild_text_tower", noted)
    arm = an_arm_with_text()
    metrics, _ = evaluated(tmp_path, table, encoder_of_clip_seed_0=arm)
    assert set(metrics["evaluation"][metrics["arm"] == "clip"]) == {"linear_probe", "knn"}
    assert built == []
    evaluated(tmp_path, table, ZERO_SHOT, encoder_of_clip_seed_0=arm)
    assert built == [arm.text]


def test_a_text_tower_embeds_in_evaluation_mode_and_leaves_the_random_state() -> None:
    text = an_arm_with_text().text
    assert text is not None
    num_features = build_encoder(CONFIG).num_features
    before = torch.get_rng_state()
    towers = [rebuild_text_tower(text, num_features) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), before)
    first, second = (tower.embed_texts(["a seven", "a nine in red"]) for tower in towers)
    assert first.tolist() == second.tolist()
    tokenizer = tokenizer_of_files(text.tokenizer)
    tower = build_text_tower(num_features, tokenizer, **text.sizes).eval()
    tower.load_state_dict(dict(text.weights))
    with torch.no_grad():
        expected = tower.embed_text(tokenize(tokenizer, ["a seven", "a nine in red"])).numpy()
    np.testing.assert_allclose(first, expected, atol=1e-6)


def test_weights_of_another_text_tower_are_an_error() -> None:
    text = an_arm_with_text().text
    assert text is not None
    with pytest.raises(DataError, match="text tower .*: its weights do not fit it"):
        rebuild_text_tower(text, 3)


def test_a_trial_is_scored_by_the_first_evaluation_that_every_arm_can_take(
    tmp_path: Path, table: pd.DataFrame
) -> None:
    arm, sets = an_arm_with_text(), {"own": SET}
    alone = validation_scores(arm, table, sets, EVALUATION, tmp_path)
    both = validation_scores(arm, table, sets, ZERO_SHOT | CALIBRATION | EVALUATION, tmp_path)
    pd.testing.assert_series_equal(both, alone)


def test_a_trial_is_scored_on_the_validation_split_and_the_test_split_stays_closed(
    tmp_path: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "stablerep.evaluation.subject.Subject.open_test", lambda *_: pytest.fail("test split opened")
    )
    scores = validation_scores(an_arm(), table, {"own": SET, "other": {}}, EVALUATION, tmp_path)
    assert scores.between(0, 1).all()
    assert list(scores.index) == sorted(
        table.loc[table["split"] == "validation", "unit"].astype(str).unique()
    )
    assert not list(tmp_path.glob("*test*"))


def test_the_untrained_encoder_is_what_every_arm_starts_from() -> None:
    before = torch.get_rng_state()
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    untrained = untrained_encoder(CONFIG, 7).eval()
    assert torch.equal(torch.get_rng_state(), before)
    seed_everything("weights", 7)  # as in stablerep.training.arms.train_arm
    assert torch.equal(untrained(images), build_encoder(CONFIG).eval()(images))


def test_weights_of_another_encoder_are_an_error() -> None:
    other = build_encoder({**CONFIG, "channels": [6]}).state_dict()
    with pytest.raises(DataError, match="its weights do not fit it"):
        rebuild_encoder(CONFIG, other)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"_target_": "stablerep.methods.simclr.SimCLR"}, "is a SimCLR; it must be an evaluation"),
        ({"_target_": "stablerep.evaluation.knn.Nearest"}, r"evaluation\.mine\._target_: got"),
        ({**EVALUATION["knn"], "num_neighbours": 0}, r"evaluation\.knn\.num_neighbours: got 0; must be >= 1"),
    ],
)
def test_what_is_no_evaluation_is_refused_with_its_key(entry: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        build_evaluations({"mine": entry})


def test_an_evaluation_set_has_its_tasks_and_images(table: pd.DataFrame) -> None:
    labelled, pixels = open_evaluation_set("own", SET, table)
    assert labelled.name == "own"
    assert len(pixels) == len(table)
    assert list(labelled.tasks) == ["digit", "ink", "ground", "texture"]
