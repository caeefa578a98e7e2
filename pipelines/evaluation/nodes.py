"""Adapters of the evaluation room."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from stablerep.training.arms import TrainedArm


def extract_features(
    scenes: dict[str, Any], model: dict[str, Any], seed: int, *arms: "TrainedArm"
) -> "pd.DataFrame":
    """Runs every arm, the untrained encoder and raw pixels over the scenes of evaluation."""
    from stablerep.errors import ConfigError
    from stablerep.evaluation.evaluate import UNTRAINED, Origin, extract_scene_features
    from stablerep.evaluation.settings import SceneSettings

    encoders = {arm.name: arm for arm in arms}
    if UNTRAINED in encoders:
        raise ConfigError(
            f"arms: got one called {UNTRAINED!r}; must be another name, this one is the reference's. "
            "Rename it in conf/params/experiment/<name>.yaml."
        )
    networks = {name: rebuild_encoder(arm.encoder_config, arm.weights) for name, arm in encoders.items()}
    networks[UNTRAINED] = untrained_encoder(model["encoder"], seed)
    origins = {name: Origin(arm.method, arm.images) for name, arm in encoders.items()}
    return extract_scene_features(networks, SceneSettings(**scenes), seed, origins)


def score_features(
    features: "pd.DataFrame", probe: dict[str, Any], seed: int
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Scores the features of each arm."""
    from stablerep.evaluation.evaluate import score_features as score
    from stablerep.evaluation.settings import ProbeSettings

    return score(features, ProbeSettings(**probe), seed)


def rebuild_encoder(config: Mapping[str, Any], weights: "Mapping[str, Tensor]") -> "nn.Module":
    """Returns an encoder with its weights, taking images of any size.

    Raises:
        DataError: the weights are of another encoder.
    """
    from stablerep.errors import DataError
    from stablerep.evaluation.features import ResizedEncoder
    from stablerep.models.encoders import build_encoder

    encoder = build_encoder(config)
    try:
        encoder.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise DataError(
            f"encoder {config.get('_target_')}: its weights do not fit it ({error}). Train it again: "
            "kedro run --pipelines training"
        ) from error
    return ResizedEncoder(encoder)


def untrained_encoder(config: Mapping[str, Any], seed: int) -> "nn.Module":
    """Returns the encoder that every arm of the seed started from."""
    import torch

    from stablerep.models.encoders import build_encoder
    from stablerep.seeding import seed_of

    # forked: a node leaves the global state as it was
    with torch.random.fork_rng():
        torch.manual_seed(seed_of("weights", seed))  # as in stablerep.training.arms.train_arm
        return rebuild_encoder(config, build_encoder(config).state_dict())
