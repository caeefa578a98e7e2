"""From a finished image set to a trained arm, through the nodes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from pipelines.config.arm_plan import plan_arm, training_of
from pipelines.config.loader import compose
from pipelines.run.current import CURRENT
from pipelines.training.nodes import open_images, train_arm
from pipelines.training.pipeline import create_arm_pipeline
from stablerep.errors import ConfigError
from stablerep.training.arms import TrainedArm
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


def test_an_arm_sees_as_many_views_as_fit_into_the_seconds_of_another(
    tmp_path: Path, parameters: dict[str, Any]
) -> None:
    real = rendered(tmp_path)
    drawn = replace(
        real,
        name="drawn",
        parts={"drawn": "generated"},
        images=real.images.assign(part="drawn"),
        facts={"num_images": len(real.images), "generation": {"total_seconds": 4.0}},
    )
    history = pd.DataFrame({"images": [8], "images_per_second": [3.0]})
    other = TrainedArm("other", "simclr", "drawn", 3, {}, {}, history)
    source = open_images("mine", real, CORPUS, parameters["encoder"], ARM, parameters["training"])
    arguments = ["method", "encoder", "training"]
    settings = {name: parameters[name] for name in arguments} | {"method": parameters["method"]["simclr"]}
    trained = train_arm(
        "mine", 3, source, tmp_path, ARM, **settings, own_set=real, other_set=drawn, other=other
    )
    # 8 views, and 4 seconds of 3 views each, in steps of 4
    assert trained.history["images"].iloc[-1] == 20


def test_an_arm_that_follows_another_needs_that_arm_of_its_seed_and_its_images() -> None:
    parameters = compose(PROJECT / "conf/params", {"experiment": "worth_it"})
    follows = create_arm_pipeline("simclr_real_compute", 1, parameters)
    assert follows.inputs() >= {
        "encoder_of_simclr_synthetic_captions_seed_1",
        "image_set_of_synthetic_captions",
        "image_set_of_real_captions",
    }
    free = create_arm_pipeline("simclr_real_captions", 1, parameters)
    assert not any(name.startswith("encoder_of") for name in free.inputs())


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
