"""Evaluation sets, evaluations and encoders as the library evaluates them, built from the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.build import build_all
from pipelines.config.corpus import build_evaluation_set, naming_evaluation_set

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from stablerep.evaluation.evaluation import Evaluation
    from stablerep.evaluation.labelled_set import LabelledSet
    from stablerep.evaluation.text_tower import FrozenTextTower
    from stablerep.models.encoder import Encoder
    from stablerep.models.text import TrainedText
    from stablerep.storage.pixels import Pixels
    from stablerep.training.arms import TrainedArm


def build_evaluations(evaluation: Mapping[str, dict[str, Any]]) -> list[Evaluation]:
    """Returns the evaluations of the experiment; see `build_all`."""
    from stablerep.evaluation.evaluation import Evaluation

    return build_all("evaluation", evaluation, Evaluation, "an evaluation")


def open_evaluation_set(name: str, entry: dict[str, Any], table: pd.DataFrame) -> tuple[LabelledSet, Pixels]:
    """Returns an evaluation set's table with its tasks, and its images, read in place."""
    from stablerep.evaluation.labelled_set import LabelledSet

    corpus = build_evaluation_set(name, entry)
    with naming_evaluation_set(name, entry):
        tasks = corpus.tasks()
    labelled = LabelledSet(
        name,
        {task: each.classes for task, each in tasks.items()},
        {task: each.prompts for task, each in tasks.items()},
        table,
    )
    return labelled, corpus.pixels(table)


def rebuild_encoder(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Encoder:
    """Returns an encoder with its weights.

    Raises:
        DataError: the weights are of another encoder.
    """
    from stablerep.errors import DataError
    from stablerep.models.encoders import build_encoder

    encoder = build_encoder(config)
    try:
        encoder.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise DataError(
            f"encoder {config.get('_target_')}: its weights do not fit it ({error}). Train it again: "
            "kedro run --pipelines training"
        ) from error
    return encoder


def rebuild_text_tower(text: TrainedText, num_features: int) -> FrozenTextTower:
    """Returns a text tower with its weights and its tokenizer, ready to embed.

    Args:
        text: of a trained arm.
        num_features: of the arm's encoder.

    Raises:
        DataError: the weights are of another tower.
    """
    import torch

    from stablerep.errors import DataError
    from stablerep.evaluation.text_tower import FrozenTextTower
    from stablerep.models.text import build_text_tower
    from stablerep.models.tokenizer import tokenizer_of_files

    tokenizer = tokenizer_of_files(text.tokenizer)
    # forked: a node leaves the global state as it was
    with torch.random.fork_rng():
        tower = build_text_tower(num_features, tokenizer, **text.sizes)
    try:
        tower.load_state_dict(dict(text.weights))
    except RuntimeError as error:
        raise DataError(
            f"text tower {dict(text.sizes)}: its weights do not fit it ({error}). Train the arm again: "
            "kedro run --pipelines training"
        ) from error
    return FrozenTextTower(tower, tokenizer)


def untrained_encoder(config: Mapping[str, Any], seed: int) -> Encoder:
    """Returns the encoder that every arm of a seed started from."""
    import torch

    from stablerep.models.encoders import build_encoder
    from stablerep.seeding import seed_of

    # forked: a node leaves the global state as it was
    with torch.random.fork_rng():
        torch.manual_seed(seed_of("weights", seed))  # as in stablerep.training.arms.train_arm
        return build_encoder(config)


def validation_scores(
    arm: TrainedArm,
    table: pd.DataFrame,
    evaluation_sets: Mapping[str, dict[str, Any]],
    evaluation: Mapping[str, dict[str, Any]],
    features_work: Path,
) -> pd.Series:
    """Returns the first evaluation's mean score of each validation unit, of the first set's first task.

    Evaluations that need text are skipped, as some arms cannot take them; so are those that do not rank
    encoders. Choices such as the guidance
    scale's are made on the scores: the test split is not opened.
    """
    from stablerep.evaluation.evaluation import choose_all, scores_of_validation_units
    from stablerep.evaluation.feature_store import FeatureStore
    from stablerep.evaluation.features import encoder_subject

    name, entry = next(iter(evaluation_sets.items()))
    labelled, pixels = open_evaluation_set(name, entry, table)
    encoder = rebuild_encoder(arm.encoder_config, arm.weights)
    store = FeatureStore(features_work)
    subject = encoder_subject(arm.name, encoder, arm.encoder_config, labelled, pixels, store)
    built = build_evaluations(evaluation)
    first = next(each for each in built if each.ranks_encoders and not each.needs_text)
    return scores_of_validation_units(subject, first, choose_all(subject, [first])[first.name])
