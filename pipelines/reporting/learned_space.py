"""Opens encoders and an evaluation set for the report's neighbours and map."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.config.evaluation import open_evaluation_set, rebuild_encoder, untrained_encoder

if TYPE_CHECKING:
    import pandas as pd

    from stablerep.reporting.content import ReportContent
    from stablerep.reporting.learned_space import LearnedSpace
    from stablerep.training.arms import TrainedArm


def show_learned_space(
    content: ReportContent,
    encoders: Mapping[tuple[str, int], TrainedArm],
    tables: Mapping[str, pd.DataFrame],
    features_work: Path,
) -> LearnedSpace | None:
    """Shows the best arm of the headline, with its first seed, beside the untrained encoder.

    Args:
        content: of the page.
        encoders: (arm, seed) -> trained.
        tables: evaluation set -> its images.
        features_work: features that the evaluation cached; missing ones are computed.

    Returns:
        None if no arm was trained.
    """
    from stablerep.evaluation.feature_store import FeatureStore
    from stablerep.evaluation.features import EncoderFeatures
    from stablerep.reporting.content import UNTRAINED
    from stablerep.reporting.learned_space import show_space
    from stablerep.reporting.report import find_headline
    from stablerep.reporting.tables import list_tasks

    best, seed = find_headline(content).best, content.seeds[0]
    if best is None or (best.arm, seed) not in encoders:
        return None
    set_name, tasks = next(iter(list_tasks(content.metrics).items()))
    entry = content.configuration["evaluation_sets"][set_name]
    labelled, pixels = open_evaluation_set(set_name, entry, tables[set_name])
    store, trained = FeatureStore(features_work), encoders[best.arm, seed]
    backbone = content.configuration["encoder"]["backbone"]
    shown = {
        best.arm: (rebuild_encoder(trained.encoder_config, trained.weights), trained.encoder_config),
        UNTRAINED: (untrained_encoder(backbone, seed), backbone),
    }
    features = {
        name: EncoderFeatures(name, encoder, config, labelled, pixels, store)
        for name, (encoder, config) in shown.items()
    }
    return show_space(features, labelled, pixels, tasks[0], seed)
