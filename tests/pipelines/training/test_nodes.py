"""From a finished image set to a trained arm, through the nodes."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines.config.arm_plan import plan_arm, training_of
from pipelines.config.loader import compose
from pipelines.run.current import CURRENT
from pipelines.training.nodes import open_images, train_arm
from stablerep.errors import ConfigError
from tests.stablerep.image_sets.sets import TEXTS, rendered

PROJECT = Path(__file__).parents[3]
CORPUS = {"_target_": "tests.stablerep.image_sets.sets.Colours"}
BACKBONE = {"_target_": "stablerep.models.residual.ResidualEncoder", "channels": [4], "size_px": 4}
ARM = {"method": "simclr", "images": "rendered", "training": {"learning_rate": 0.5}, "if_possible": False}


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    """A training of two steps on six images of 4 px."""
    given = {
        "training.batch.captions": 2,
        "training.batch.images_per_caption": 2,
        "training.num_images": 8,
        "training.log_every": 1,
        "training.num_probe_captions": 0,
    }
    values = compose(PROJECT / "conf/params", {"experiment": "smoke", **given})
    return values | {"encoder": values["encoder"] | {"backbone": BACKBONE}}


def test_an_image_set_is_opened_with_its_captions_and_labels(
    tmp_path: Path, parameters: dict[str, Any]
) -> None:
    source = open_images(
        "mine", rendered(tmp_path), CORPUS, parameters["encoder"], ARM, parameters["training"]
    )
    assert len(source.images) == 6
    assert source.texts == tuple(TEXTS)
    assert source.caption_rows.tolist() == [0, 0, 1, 1, 2, 2]
    assert source.labels is not None
    assert source.labels.tolist() == [0, 0, 1, 1, 0, 0]


def test_an_arm_is_trained_with_its_own_settings_and_its_rows_are_told(
    tmp_path: Path, parameters: dict[str, Any]
) -> None:
    rows: list[tuple[str, int, float]] = []

    def follower(arm: str, seed: int, row: Any) -> None:
        rows.append((arm, seed, row["step"]))

    source = open_images(
        "mine", rendered(tmp_path), CORPUS, parameters["encoder"], ARM, parameters["training"]
    )
    CURRENT.follow(follower)
    try:
        trained = train_arm(
            "mine",
            3,
            source,
            tmp_path / "work",
            ARM,
            parameters["method"]["simclr"],
            parameters["encoder"],
            parameters["training"],
        )
    finally:
        CURRENT.leave(follower)
    CURRENT.tell("mine", 3, {"step": 9})  # no one follows any more
    assert (trained.name, trained.method, trained.images, trained.seed) == ("mine", "simclr", "rendered", 3)
    assert trained.encoder_config == BACKBONE
    assert all(torch.isfinite(weight).all() for weight in trained.weights.values())
    assert rows == [("mine", 3, step) for step in trained.history["step"]]
    assert len(rows) > 1
    assert (tmp_path / "work" / "seed_3" / "mine").is_dir(), "what CURRENT removes when the run has ended"


def test_an_arm_has_a_head_and_views_of_its_own_where_they_are_set(parameters: dict[str, Any]) -> None:
    """Two arms of one method, of which one has another head, and a method with views of its own."""
    training = parameters["training"] | {"augmentation_by_method": {"simclr": {"min_crop": 0.9}}}
    own = ARM | {"head": {"kind": "stablerep"}, "training": {"augmentation": {"jitter": 0.1}}}
    method, encoder = parameters["method"]["simclr"], parameters["encoder"]
    plans = [
        plan_arm("mine", arm, method, encoder, training_of("mine", arm, training), 0, PROJECT)
        for arm in (ARM, own)
    ]
    assert [plan.head.kind for plan in plans] == [encoder["head"]["kind"], "stablerep"]
    assert plans[1].head.out_dim == encoder["head"]["out_dim"]
    views = [plan.optimisation.augmentation for plan in plans]
    assert [(each.min_crop, each.jitter) for each in views] == [(0.9, 0.4), (0.9, 0.1)]
    # so that views of other methods do not make a checkpoint another run's
    assert all(plan.optimisation.augmentation_by_method == {} for plan in plans)


def test_a_setting_of_an_arm_that_cannot_be_is_told_with_its_key(
    tmp_path: Path, parameters: dict[str, Any]
) -> None:
    wrong = ARM | {"training": {"learning_rate": -1.0}}
    with pytest.raises(ConfigError, match=r"arms\.mine\.training\.learning_rate: got -1\.0; must be >= 0"):
        train_arm(
            "mine",
            0,
            None,  # type: ignore[arg-type]
            tmp_path,
            wrong,
            parameters["method"]["simclr"],
            parameters["encoder"],
            parameters["training"],
        )
