"""Arms and both references on evaluation sets, through the node."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from pipelines.config.corpus import build_evaluation_set, index_of
from pipelines.config.evaluation import (
    build_evaluations,
    rebuild_encoder,
    untrained_encoder,
    validation_score,
)
from pipelines.config.loader import compose
from pipelines.evaluation.nodes import evaluate_encoders
from stablerep.errors import ConfigError, DataError
from stablerep.models.encoders import build_encoder
from stablerep.seeding import seed_everything
from stablerep.training.arms import TrainedArm
from stablerep.validation.schemas import Metrics, UnitScores
from tests.stablerep.corpora.images import write_class_folders

PROJECT = Path(__file__).parents[3]
CONFIG = {
    "_target_": "stablerep.models.residual.ResidualEncoder",
    "channels": [4],
    "map_channels": 2,
    "size_px": 8,
}


def arm_of(name: str, seed: int = 0) -> TrainedArm:
    torch.manual_seed(seed)
    weights = build_encoder(CONFIG).state_dict()
    return TrainedArm(name, "simclr", "real", seed, CONFIG, weights, pd.DataFrame())


@pytest.fixture(scope="module")
def sections(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two evaluation sets of a few photos."""
    evaluation_sets = {}
    for name, number in (("photos", 30), ("others", 24)):
        root = write_class_folders(tmp_path_factory.mktemp("data") / name, number)
        evaluation_sets[name] = {
            "_target_": "stablerep.corpora.image_folder.ImageFolder",
            "path": str(root),
        }
    composed = compose(PROJECT / "conf/params", {"experiment": "smoke"})
    return {
        "evaluation": composed["evaluation"],
        "evaluation_sets": evaluation_sets,
        "encoder": composed["encoder"] | {"backbone": CONFIG},
        "reporting": {"num_bootstrap": 20},
        "seeds": [0, 5],
    }


@pytest.fixture(scope="module")
def tables(sections: dict[str, Any]) -> dict[str, pd.DataFrame]:
    return {
        f"evaluation_set_of_{name}": index_of(build_evaluation_set(name, entry), name, None)
        for name, entry in sections["evaluation_sets"].items()
    }


@pytest.fixture(scope="module")
def evaluated(
    sections: dict[str, Any], tables: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> tuple[pd.DataFrame, pd.DataFrame]:
    arms = {f"encoder_of_mine_seed_{seed}": arm_of("mine", seed) for seed in (0, 5)}
    return evaluate_encoders(tmp_path_factory.mktemp("features"), **sections, **tables, **arms)


def test_every_arm_and_seed_and_both_references_are_evaluated_on_every_set(
    evaluated: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    metrics, _ = evaluated
    facts = metrics[["set", "arm", "seed", "method", "images"]].drop_duplicates()
    assert facts.to_numpy().tolist() == [
        [name, *rest]
        for name in ("photos", "others")
        for rest in (
            ("mine", 0, "simclr", "real"),
            ("mine", 5, "simclr", "real"),
            ("untrained", 0, "none", "none"),
            ("raw_pixels", 0, "none", "none"),
        )
    ]
    assert set(metrics["task"]) == {"class"}
    assert set(metrics["evaluation"]) == {"linear_probe", "knn"}


def test_the_tables_are_as_the_catalog_asks_for(evaluated: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    metrics, units = evaluated
    Metrics.validate(metrics)
    UnitScores.validate(units)


def test_features_are_computed_once_and_those_of_removed_encoders_leave(
    sections: dict[str, Any], tables: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    one = {"encoder_of_mine_seed_0": arm_of("mine")}
    evaluate_encoders(tmp_path, **sections, **tables, **one, **{"encoder_of_b_seed_0": arm_of("b", 1)})
    both = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    evaluate_encoders(tmp_path, **sections, **tables, **one)
    left = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert left.items() <= both.items(), "kept, and not written again"
    keys, kept = ({name.partition(".")[0] for name in files} for files in (both, left))
    assert len(keys - kept) == len(sections["evaluation_sets"])


def test_a_study_is_scored_on_the_validation_split_of_the_first_set(
    sections: dict[str, Any], tables: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    table = tables["evaluation_set_of_photos"]
    named = sections["evaluation_sets"], sections["evaluation"]
    score = validation_score(arm_of("mine"), table, *named, tmp_path)
    assert 0 <= score <= 1
    without_test = table.assign(**{"label.class": table["label.class"].where(table["split"] != "test", 0)})
    assert validation_score(arm_of("mine"), without_test, *named, tmp_path / "again") == score


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


def test_what_is_no_evaluation_is_refused_with_its_key() -> None:
    with pytest.raises(
        ConfigError, match=r"evaluation\.mine\._target_: pathlib\.Path is a PosixPath; it must"
    ):
        build_evaluations({"mine": {"_target_": "pathlib.Path"}})
