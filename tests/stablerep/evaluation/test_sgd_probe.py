"""The paper's linear probe."""

import numpy as np
import pytest
import torch
from torch import nn

from stablerep.errors import ConfigError, DataError
from stablerep.evaluation.evaluation import choose_all, evaluate
from stablerep.evaluation.sgd_probe import SgdProbe, SgdProbeSettings
from stablerep.evaluation.subject import Split
from tests.stablerep.evaluation.sets import labelled_set, perfect, random, subject

SET = labelled_set()
LABELS = np.random.default_rng(9).permutation(np.repeat(np.arange(3), 50))
TASKS = {"shape": ("a", "b", "c")}


def _blobs(seed: int, noise: float, labels: np.ndarray = LABELS) -> Split:
    rng = np.random.default_rng(seed)
    features = 3 * np.eye(3)[labels] + noise * rng.normal(size=(len(labels), 3)) + [5, 0, -1]
    return Split(features.astype(np.float32), {"shape": labels}, TASKS)


def _by_the_authors_loop(probe: SgdProbe, train: Split, other: np.ndarray) -> np.ndarray:
    """Returns (2, H, N, K) logits of other features: autograd, torch's SGD and schedule, a module each."""
    given, batch_size = probe.settings, probe.settings.batch_size
    heads, groups = [], []
    for use_bn in (False, True):
        for base in given.base_learning_rates:
            linear = nn.Linear(train.features.shape[1], 3)
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
            norm = nn.BatchNorm1d(train.features.shape[1], affine=False, eps=1e-6)
            heads.append(nn.Sequential(norm, linear) if use_bn else linear)
            groups.append({"params": heads[-1].parameters(), "lr": base * batch_size / 256})
    optimizer = torch.optim.SGD(groups, lr=0.0, momentum=given.momentum, weight_decay=0.0)
    num_steps = given.num_epochs * (len(train.features) // batch_size)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps, eta_min=0)
    for rows in probe._batches(np.arange(len(train.features)), batch_size):
        x, y = torch.from_numpy(train.features[rows]), torch.from_numpy(train.labels["shape"][rows])
        optimizer.zero_grad()
        sum(nn.functional.cross_entropy(head(x), y) for head in heads).backward()
        optimizer.step()
        scheduler.step()
    with torch.no_grad():
        logits = torch.stack([head.eval()(torch.from_numpy(other)) for head in heads])
    return logits.reshape(2, len(given.base_learning_rates), len(other), 3).numpy()


def test_all_rates_in_one_pass_equal_the_authors_loop_of_one_module_each() -> None:
    probe = SgdProbe([0.01, 0.1, 0.5], num_epochs=4, batch_size=32)
    train, validation = _blobs(1, 2.0), _blobs(2, 2.0)
    inputs, heads = probe._train(train, np.arange(len(LABELS)), ["shape"])
    ours = heads["shape"].logits(inputs(torch.from_numpy(validation.features), training=False))
    theirs = _by_the_authors_loop(probe, train, validation.features)
    np.testing.assert_allclose(ours.transpose(1, 2).numpy(), theirs, rtol=1e-4, atol=1e-5)
    choice = probe.choose(train, validation, None)["shape"]
    accuracies = (theirs.argmax(axis=3) == LABELS).mean(axis=2)
    assert choice.validation == accuracies.max()
    assert choice.chosen["base_learning_rate_with_batch_norm"] == [0.01, 0.1, 0.5][accuracies[1].argmax()]


def test_separable_blobs_are_told_apart_without_and_with_batch_norm() -> None:
    metrics = evaluate(subject(SET, perfect(SET)), [SgdProbe(num_epochs=10)], 20, 0).metrics
    assert metrics["metric"].tolist() == [
        "accuracy",
        "accuracy_without_batch_norm",
        "accuracy_with_batch_norm",
    ]
    assert (metrics["value"] == 1).all()
    assert metrics["validation"].iloc[0] == 1


def test_the_rate_and_the_batch_norm_are_chosen_on_the_validation_images() -> None:
    # the rest is a hundred times as large as what tells the classes apart, which BatchNorm makes up for
    parts = []
    for seed in (1, 2):
        rest = np.random.default_rng(seed).normal(size=(150, 2))
        features = np.hstack([_blobs(seed, 0.3).features, 100 * rest])
        parts.append(Split(features.astype(np.float32), {"shape": LABELS}, TASKS))
    probe = SgdProbe([0.001, 0.1], num_epochs=60)
    choice = probe.choose(*parts, None)["shape"]
    assert choice.chosen["batch_norm"] == "with"
    predicted = probe.score({"shape": choice}, parts[1].unlabelled())["shape"]
    measured = probe.measure(choice, predicted, LABELS)
    means = {name: each.scores.mean() for name, each in measured.items()}
    assert means["accuracy"] == means["accuracy_with_batch_norm"] == choice.validation == 1
    assert means["accuracy_without_batch_norm"] < 0.9


def test_of_equals_the_lowest_rate_is_kept() -> None:
    flawless = _blobs(0, 0.0)
    chosen = SgdProbe([0.3, 0.1, 0.5], num_epochs=20).choose(flawless, flawless, None)["shape"].chosen
    assert chosen["batch_norm"] == "without"
    assert chosen["base_learning_rate_with_batch_norm"] == 0.1


class ReadInParts:
    """Features that can only be read a part at a time, as those of ImageNet on a small machine."""

    def __init__(self, features: np.ndarray) -> None:
        self.features, self.shape, self.most = features, features.shape, 0

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        found = self.features[rows]
        self.most = max(self.most, len(found))
        return found


def test_memory_holds_one_batch_of_features_however_many_images_there_are() -> None:
    train, validation = _blobs(1, 0.5), _blobs(2, 0.5)
    split = Split(ReadInParts(train.features), train.labels, TASKS)  # type: ignore[arg-type]
    other = Split(ReadInParts(validation.features), validation.labels, TASKS)  # type: ignore[arg-type]
    probe = SgdProbe([0.1], num_epochs=3, batch_size=16)
    streamed = probe.choose(split, other, None)
    assert streamed["shape"].validation == probe.choose(train, validation, None)["shape"].validation
    probe.score(streamed, other.unlabelled())
    assert split.features.most == other.features.most == 16


def test_an_epoch_shows_each_image_once_in_an_order_of_its_own() -> None:
    probe = SgdProbe([0.1], num_epochs=2, batch_size=10)
    batches = list(probe._batches(np.arange(35) + 100, 10))
    assert [len(batch) for batch in batches] == [10] * 6
    epochs = np.concatenate(batches[:3]), np.concatenate(batches[3:])
    for rows in epochs:
        assert len(set(rows)) == 30
        assert set(rows) <= set(range(100, 135))
    assert epochs[0].tolist() != epochs[1].tolist()
    again = SgdProbe([0.1], num_epochs=2, batch_size=10, seed=1)._batches(np.arange(35) + 100, 10)
    assert np.concatenate(list(again)).tolist() != np.concatenate(batches).tolist()


def test_train_images_of_one_class_are_refused() -> None:
    table = SET.table
    flat = labelled_set({"shape": np.where(table["split"] == "train", 1, table["label.shape"])})
    with pytest.raises(DataError, match="sgd_probe, task 'shape': all train images have the same class"):
        choose_all(subject(flat, random(flat)), [SgdProbe()])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"base_learning_rates": [0.1, 0.0]}, r"base_learning_rates\[1\]: got 0\.0; must be > 0"),
        ({"num_epochs": 0}, r"num_epochs: got 0; must be >= 1"),
        ({"batch_size": 1}, r"batch_size: got 1; must be >= 2"),
        ({"momentum": 1.0}, r"momentum: got 1\.0; must be >= 0 and < 1"),
    ],
)
def test_settings_out_of_bounds_name_their_key_and_file(setting: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"evaluation\.sgd_probe\.{message}\. Set it in"):
        SgdProbe(**setting)


def test_a_changed_default_is_a_new_version() -> None:
    rates = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
    pinned = {
        1: {"base_learning_rates": rates, "num_epochs": 90, "batch_size": 1024, "momentum": 0.9, "seed": 0}
    }
    assert SgdProbeSettings().model_dump() == pinned[SgdProbe.version]
