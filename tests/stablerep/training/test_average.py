"""The moving average of the weights: what it holds, and that it is what is exported and looked at."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from stablerep.methods.batch import BatchSettings
from stablerep.models.encoders import build_encoder
from stablerep.training import rows
from stablerep.training.arms import train_arm
from stablerep.training.average import Average
from stablerep.training.probe import features_of, hold_out, knn_accuracy
from stablerep.training.settings import TrainingSettings
from tests.stablerep.training.test_loop import ENCODER, plan_of, source_of


def average_of(values, decay):
    """Averages one weight that takes these values, the first of them before any step."""
    model = nn.Linear(1, 1, bias=False)
    average = None
    for step, value in enumerate(values):
        model.weight.data.fill_(value)
        if average is None:
            average = Average(model, decay)
        else:
            average.update(model, step - 1)
    return float(average.weights["weight"])


@pytest.mark.parametrize("num_steps", [1, 4, 8, 100])
def test_the_initial_weights_share_vanishes_in_a_short_run(num_steps):
    """Weights 1 before and 0 after every step leave the initial ones' share, whatever the decay."""
    share = average_of([1.0] + [0.0] * num_steps, 0.9999)
    assert share == pytest.approx(1 / math.comb(num_steps + 9, 9), rel=1e-4)


def test_after_the_ramp_it_decays_by_the_decay_that_is_set():
    """With 0.5 the ramp ends at step 8: from there the average halves its distance in each step."""
    values = [0.0] * 20 + [1.0, 1.0, 1.0]
    assert average_of(values, 0.5) == pytest.approx(1 - 0.5**3)
    # 0.2 is reached after 2 steps: 1 / 10, 2 / 11, 0.2
    assert average_of([1.0, 0.0, 0.0, 0.0], 0.2) == pytest.approx(1 / 10 * 2 / 11 * 0.2)


def test_without_a_decay_no_average_is_kept():
    model = nn.Linear(2, 2)
    average = Average(model, None)
    average.update(model, 0)
    before = {name: each.clone() for name, each in model.state_dict().items()}
    with average.in_place_of(model):
        assert all(torch.equal(model.state_dict()[name], each) for name, each in before.items())
    average.apply_to(model)
    assert average.weights == {}
    assert all(torch.equal(model.state_dict()[name], each) for name, each in before.items())


def test_the_weights_are_back_after_the_average_stood_in_their_place_even_after_a_fault():
    model = nn.BatchNorm1d(2)
    average = Average(model, 0.9)
    model.weight.data.fill_(5.0)
    model.running_mean.fill_(7.0)

    def look():
        with average.in_place_of(model):
            assert model.weight.tolist() == [1.0, 1.0]
            assert model.running_mean.tolist() == [0.0, 0.0]
            raise KeyError

    with pytest.raises(KeyError):
        look()
    assert model.weight.tolist() == [5.0, 5.0]
    assert model.running_mean.tolist() == [7.0, 7.0]


BATCH = BatchSettings(captions=2, images_per_caption=2)
SETTINGS = TrainingSettings(
    num_images=24, batch=BATCH, log_every=1, probe_every=1, num_probe_captions=2, learning_rate=0.05
)


def test_a_short_run_exports_weights_that_have_learned():
    """Six steps with a decay that averages over 10,000 of them."""
    arms = {
        decay: train_arm(plan_of(SETTINGS.changed(ema_decay=decay)), source_of()) for decay in (None, 0.9999)
    }
    still = train_arm(plan_of(SETTINGS.changed(learning_rate=0.0)), source_of())
    name = next(key for key in still.weights if "conv1.weight" in key)
    start, last, mean = (arm.weights[name] for arm in (still, arms[None], arms[0.9999]))
    assert (mean - last).norm() < 0.5 * (start - last).norm()
    assert not torch.equal(mean, last)


def test_the_probe_measures_the_weights_that_would_be_exported(monkeypatch):
    seen = []

    def recorded(encoder, *given):
        seen.append({name: each.detach().clone() for name, each in encoder.state_dict().items()})
        return features_of(encoder, *given)

    monkeypatch.setattr(rows, "features_of", recorded)
    plan = plan_of(SETTINGS.changed(ema_decay=0.9))
    trained = train_arm(plan, source_of())
    assert len(seen) == 6
    assert all(torch.equal(seen[-1][name], each) for name, each in trained.weights.items())
    encoder = build_encoder(ENCODER)
    encoder.load_state_dict(trained.weights)
    held_out = hold_out(source_of(), 2, 2, plan.seed)[1]
    assert trained.history["knn_accuracy"].iloc[-1] == knn_accuracy(
        features_of(encoder, held_out, 4), held_out
    )
    # and a training goes on as if it had not been looked at
    unseen = train_arm(replace(plan, optimisation=plan.optimisation.changed(probe_every=6)), source_of())
    assert all(torch.equal(unseen.weights[name], each) for name, each in trained.weights.items())
