"""Adapters of the evaluation room."""

import pandas as pd
import pytest
import torch

from pipelines.evaluation.nodes import (
    extract_features,
    rebuild_encoder,
    score_features,
    untrained_encoder,
)
from stablerep.errors import ConfigError, DataError
from stablerep.models.encoders import build_encoder
from stablerep.seeding import seed_everything
from stablerep.training.arms import TrainedArm

CONFIG = {
    "_target_": "stablerep.models.residual.ResidualEncoder",
    "channels": [4],
    "map_channels": 2,
    "size_px": 8,
}
SCENES = {
    "num_test_scenes_per_hand": 1,
    "num_probe_train_scenes": 100,
    "num_validation_scenes_per_hand": 1,
}
PROBE = {"num_neighbours": 5, "probe_c": [0.1], "num_bootstrap": 100, "attributes": ["digit"]}


def _arm(name: str) -> TrainedArm:
    weights = build_encoder(CONFIG).state_dict()
    return TrainedArm(name, "simclr", "real", CONFIG, weights, pd.DataFrame())


def test_every_arm_and_both_references_are_scored() -> None:
    features = extract_features(SCENES, {"encoder": CONFIG}, 0, _arm("mine"))
    metrics, hand_scores = score_features(features, PROBE, 0)
    facts = metrics.drop_duplicates("arm")[["arm", "method", "images"]].to_numpy().tolist()
    assert facts == [
        ["mine", "simclr", "real"],
        ["untrained", "none", "none"],
        ["raw_pixels", "none", "none"],
    ]
    assert len(hand_scores) == 3 * 2 * 450


def test_the_untrained_encoder_is_what_every_arm_starts_from() -> None:
    before = torch.get_rng_state()
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    untrained = untrained_encoder(CONFIG, 7).eval()
    assert torch.equal(torch.get_rng_state(), before)
    seed_everything("weights", 7)  # as in stablerep.training.arms.train_arm
    assert torch.equal(untrained(images), build_encoder(CONFIG).eval()(images))


def test_a_rebuilt_encoder_takes_scenes_of_another_size() -> None:
    encoder = rebuild_encoder(CONFIG, build_encoder(CONFIG).state_dict())
    assert encoder(torch.rand(2, 3, 32, 32)).shape == (2, 2 * 4 * 4)


def test_weights_of_another_encoder_are_an_error() -> None:
    other = build_encoder({**CONFIG, "channels": [6]}).state_dict()
    with pytest.raises(DataError, match="weights do not fit"):
        rebuild_encoder(CONFIG, other)


def test_an_arm_may_not_be_called_as_a_reference() -> None:
    with pytest.raises(ConfigError, match="untrained"):
        extract_features(SCENES, {"encoder": CONFIG}, 0, _arm("untrained"))
