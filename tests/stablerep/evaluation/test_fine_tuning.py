"""Fine-tuning of the whole encoder on few labels."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from stablerep.errors import ConfigError, DataError
from stablerep.evaluation.evaluation import choose_all, evaluate
from stablerep.evaluation.feature_store import FeatureStore
from stablerep.evaluation.features import encoder_digest, encoder_subject
from stablerep.evaluation.fine_tuning import FineTuning, stratified_part
from stablerep.evaluation.raw_pixels import RawPixels
from stablerep.evaluation.subject import Subject
from stablerep.models.encoder import Encoder
from tests.stablerep.evaluation.sets import LabelledSet, RandomPixels, labelled_set

SET = labelled_set()
LABELS = SET.table["label.shape"].to_numpy()
RATES = (1e-6, 3e-2)


class CountedPixels(RandomPixels):
    """Noise, and where `clear`, a bright quarter that says the class; counts how often each is read."""

    def __init__(self, clear: bool) -> None:
        super().__init__(len(LABELS), 8, 8)
        self.reads: Counter[int] = Counter()
        if clear:
            for row, label in enumerate(LABELS):
                top, left = 4 * (label // 2), 4 * (label % 2)
                self.images[row] //= 4
                self.images[row, :, top : top + 4, left : left + 4] = 255

    def read(self, row: int) -> Tensor:
        self.reads[row] += 1
        return super().read(row)


class Collapsed(Encoder):
    """Ones, whatever it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.size_px, self.num_features = 8, 4

    def forward(self, images: Tensor) -> Tensor:
        return torch.ones(len(images), 4)


class Net(Encoder):
    """With dropout and batch norm, so that modes and random draws matter."""

    def __init__(self) -> None:
        super().__init__()
        self.size_px, self.num_features = 8, 64
        self.body = nn.Sequential(nn.Conv2d(3, 16, 4, 4), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.2))

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images).flatten(1)


def subject_of(
    folder: Path, encoder: Encoder, clear: bool = True, of_set: LabelledSet = SET
) -> tuple[Subject, CountedPixels]:
    pixels = CountedPixels(clear)
    return encoder_subject("net", encoder, {}, of_set, pixels, FeatureStore(folder)), pixels


def tuned(
    folder: Path, encoder: Encoder, clear: bool = True, of_set: LabelledSet = SET, **options: object
) -> pd.DataFrame:
    evaluation = FineTuning(**{"num_steps": 30, "learning_rates": RATES, **options})
    return evaluate(subject_of(folder, encoder, clear, of_set)[0], [evaluation], 20, 0).metrics


def test_clear_images_are_learned_of_few_labels_noise_and_a_collapsed_encoder_are_not(tmp_path: Path) -> None:
    for encoder, clear, low, high in (
        (RawPixels(8), True, 0.95, 1.0),
        (RawPixels(8), False, 0.0, 0.45),  # chance is 0.25
        (Collapsed(), True, 0.0, 0.45),
    ):
        values = tuned(tmp_path, encoder, clear)["value"]
        assert low <= values.min() and values.max() <= high


def test_each_share_has_a_metric_and_the_rate_that_is_best_on_validation_images(tmp_path: Path) -> None:
    shares, rates = (0.01, 0.125, 1.0), (1e-4, 1e-3, 3e-2)
    arm, _ = subject_of(tmp_path, RawPixels(8), clear=False)  # on noise the rates differ by chance
    evaluation = FineTuning(shares, rates, num_steps=10)
    choice = choose_all(arm, [evaluation])["fine_tuning"]["shape"]
    for place, (share, percent) in enumerate(zip(shares, ("1", "12.5", "100"), strict=True)):
        alone = {
            rate: choose_all(arm, [FineTuning((share,), (rate,), num_steps=10)])["fine_tuning"]["shape"]
            for rate in rates
        }
        best = max(alone, key=lambda rate: alone[rate].validation)
        assert choice.chosen[f"learning_rate_{percent}"] == best
        assert place or choice.validation == alone[best].validation
    rows = evaluate(subject_of(tmp_path, RawPixels(8))[0], [evaluation], 20, 0).metrics
    assert rows["metric"].tolist() == ["labels_1", "labels_12.5", "labels_100"]
    assert set(json.loads(rows["chosen"].iloc[0])) == set(choice.chosen)


def test_the_whole_encoder_is_trained_and_the_arm_s_own_stays_as_it_was(tmp_path: Path) -> None:
    encoder = Net()
    before = encoder_digest(encoder, {})
    arm, _ = subject_of(tmp_path, encoder)
    choice = choose_all(arm, [FineTuning(num_steps=5, learning_rates=(1e-2,))])["fine_tuning"]["shape"]
    assert encoder_digest(encoder, {}) == before
    for network in choice.state:
        assert not network.training
        own, tuned_weights = encoder.state_dict(), network.encoder.state_dict()
        assert all(not torch.equal(own[name], tuned_weights[name]) for name in own)


def test_results_are_a_function_of_the_seed_and_leave_the_random_state(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = Net()
    before = torch.get_rng_state()
    options = {"num_steps": 10, "learning_rates": (3e-3,), "shares": (0.05,)}
    first, again = (tuned(tmp_path, encoder, clear=False, **options) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    other = tuned(tmp_path, encoder, clear=False, **options, seed=1)
    pd.testing.assert_frame_equal(first, again)
    assert not first[["value", "validation"]].equals(other[["value", "validation"]])


def test_test_images_are_read_after_all_choices_once_per_share(tmp_path: Path) -> None:
    arm, pixels = subject_of(tmp_path, RawPixels(8))
    evaluation, test = FineTuning(num_steps=5), set(SET.rows("test").tolist())
    choices = choose_all(arm, [evaluation])
    assert not test & set(pixels.reads)
    images = arm.open_test(choices).unlabelled()
    before = Counter(pixels.reads)
    evaluation.score(choices["fine_tuning"], images)
    read = pixels.reads - before
    assert set(read) == test and set(read.values()) == {2}


def test_scrambled_test_labels_change_no_choice(tmp_path: Path) -> None:
    table, rows = SET.table.copy(), SET.rows("test")
    table.loc[rows, "label.shape"] = np.random.default_rng(5).permutation(table.loc[rows, "label.shape"])
    before = tuned(tmp_path, RawPixels(8))
    after = tuned(tmp_path, RawPixels(8), of_set=replace(SET, table=table))
    assert before[["validation", "chosen"]].equals(after[["validation", "chosen"]])
    assert not before["value"].equals(after["value"])


@pytest.mark.parametrize(("all_tasks", "tasks"), [(False, ["shape"]), (True, ["shape", "parity"])])
def test_the_first_task_is_tuned_or_all_of_them(tmp_path: Path, all_tasks: bool, tasks: list[str]) -> None:
    two = labelled_set({"shape": LABELS, "parity": LABELS % 2})
    rows = tuned(tmp_path, RawPixels(8), of_set=two, all_tasks=all_tasks, shares=(0.1,))
    assert rows["task"].tolist() == tasks


def test_a_part_has_its_share_of_each_class_and_one_at_least() -> None:
    labels = np.repeat([0, 1, 2, -1], [200, 40, 3, 57])
    np.random.default_rng(0).shuffle(labels)
    part = stratified_part(labels, 0.1, 0)
    assert Counter(labels[part].tolist()) == {0: 20, 1: 4, 2: 1}
    assert (np.diff(part) > 0).all()
    assert set(stratified_part(labels, 0.01, 0)) < set(part) < set(stratified_part(labels, 1.0, 0))
    assert Counter(labels[stratified_part(labels, 0.001, 0)].tolist()) == {0: 1, 1: 1, 2: 1}
    assert set(stratified_part(labels, 1.0, 0)) == set(np.flatnonzero(labels >= 0))
    assert (
        part.tolist() == stratified_part(labels, 0.1, 0).tolist() != stratified_part(labels, 0.1, 1).tolist()
    )


def test_images_of_one_class_are_refused(tmp_path: Path) -> None:
    one = labelled_set({"shape": np.zeros(len(LABELS), int)})
    with pytest.raises(DataError, match="fine_tuning, task 'shape': all train images have the same class"):
        choose_all(subject_of(tmp_path, RawPixels(8), of_set=one)[0], [FineTuning()])


def test_settings_out_of_their_bounds_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"fine_tuning\.shares\[0\]: got 1\.5; must be > 0 and <= 1"):
        FineTuning(shares=[1.5])
