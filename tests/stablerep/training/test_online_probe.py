"""The online probe: what it learns, that the encoder does not hear of it, and that it survives a stop."""

import logging
import math
import os
import signal
from dataclasses import replace

import pytest
import torch

from stablerep.errors import ConfigError, StoppedError
from stablerep.methods.batch import BatchSettings
from stablerep.models.encoders import build_encoder
from stablerep.training.arms import train_arm
from stablerep.training.average import Average
from stablerep.training.online_probe import OnlineProbe, build_online_probe
from stablerep.training.probe import features_of, hold_out
from stablerep.training.settings import OnlineProbeSettings, TrainingSettings
from tests.stablerep.training.test_average import ENCODER, plan_of
from tests.stablerep.training.test_average import source_of as unlabelled_source

CPU = torch.device("cpu")
ON = OnlineProbeSettings(enabled=True, learning_rate=0.05)
SETTINGS = TrainingSettings(
    num_images=48,
    batch=BatchSettings(captions=2, images_per_caption=2),
    log_every=1,
    probe_every=1,
    num_probe_captions=2,
    learning_rate=0.02,
    max_grad_norm=0.1,
)
CLOCKED = ("images_per_second", "waited_s", "waited_share")


def source_of():
    source = unlabelled_source()
    return replace(source, labels=source.caption_rows % 2)


def probe(decay=None):
    return OnlineProbe(4, 3, SETTINGS.changed(online_probe=ON, ema_decay=decay), CPU)


def blobs(num, seed):
    """Returns three blobs far from each other and from zero, and their classes."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(num) % 3
    centres = torch.tensor([[9.0, 5, 0, 0], [5.0, 9, 0, 0], [5.0, 5, 0, 0]])
    return centres[classes] + 0.3 * torch.randn(num, 4, generator=generator), classes


@pytest.mark.parametrize("decay", [None, 0.9])
def test_it_learns_separable_blobs(decay):
    learner = probe(decay)
    held_out = blobs(300, seed=999)
    assert learner.accuracy(*held_out) < 0.4
    for step in range(60):
        learner.learn(*blobs(64, step), step)
    assert learner.accuracy(*held_out) == 1.0


def test_images_of_no_known_class_teach_nothing_and_are_not_asked():
    learner = probe()
    features, classes = blobs(30, 0)
    before = {name: each.clone() for name, each in learner.classifier.named_parameters()}
    learner.learn(features, torch.full_like(classes, -1), 0)
    assert all(torch.equal(each, before[name]) for name, each in learner.classifier.named_parameters())
    assert math.isnan(learner.accuracy(features, torch.full_like(classes, -1)))
    for step in range(60):
        learner.learn(*blobs(64, step), step)
    wrong = torch.where(classes == 2, torch.full_like(classes, -1), classes)
    assert learner.accuracy(features, wrong) == 1.0


def test_it_measures_with_its_own_average_where_one_is_exported():
    learner, features = probe(0.9), blobs(30, 0)
    expected = Average(learner.classifier, 0.9)
    for step in range(3):
        learner.learn(*blobs(64, step), step)
        expected.update(learner.classifier, step)
    seen = []
    learner.classifier[1].register_forward_hook(lambda module, *_: seen.append(module.weight.clone()))
    learner.accuracy(*features)
    assert torch.equal(seen[0], expected.weights["1.weight"])
    assert not torch.equal(learner.classifier[1].weight, expected.weights["1.weight"])


def test_it_goes_on_learning_from_the_batchs_statistics_after_it_was_asked():
    asked, unasked = probe(), probe()
    asked.accuracy(*blobs(30, 0))
    for learner in (asked, unasked):
        learner.learn(*blobs(64, 1), 0)
    assert asked.classifier[0].running_mean.abs().min() > 0
    for one, other in zip(asked.classifier.state_dict().values(), unasked.classifier.state_dict().values(),
                          strict=True):  # fmt: skip
        assert torch.equal(one, other)


def test_features_are_reached_by_no_gradient():
    features, classes = blobs(30, 0)
    features.requires_grad_()
    probe().learn(features, classes, 0)
    assert features.grad is None


@pytest.mark.parametrize("chunk", [None, 3])
def test_an_arm_is_trained_as_if_it_were_not_there(chunk):
    """Views, dropout, gradients and their clipping stay: the weights are equal bit for bit."""
    batch = BatchSettings(captions=2, images_per_caption=2, chunk=chunk)
    plain, probed = (
        train_arm(plan_of(SETTINGS.changed(online_probe=each, batch=batch)), source_of())
        for each in (OnlineProbeSettings(), ON)
    )
    assert all(torch.equal(probed.weights[name], each) for name, each in plain.weights.items())
    assert "online_probe_accuracy" not in plain.history
    columns = [name for name in plain.history if name not in CLOCKED]
    assert probed.history[columns].equals(plain.history[columns])
    assert probed.history["online_probe_accuracy"].between(0, 1).all()


def test_it_is_asked_about_the_features_of_what_is_exported(monkeypatch):
    asked = []
    real = OnlineProbe.accuracy

    def watched(self, features, classes):
        asked.append((features.clone(), classes.clone()))
        return real(self, features, classes)

    monkeypatch.setattr(OnlineProbe, "accuracy", watched)
    plan = plan_of(SETTINGS.changed(online_probe=ON, ema_decay=0.9))
    trained = train_arm(plan, source_of())
    encoder = build_encoder(ENCODER)
    encoder.load_state_dict(trained.weights)
    held_out = hold_out(source_of(), 2, 2, plan.seed)[1]
    torch.testing.assert_close(asked[-1][0], features_of(encoder, held_out, 4))
    assert torch.equal(asked[-1][1], held_out.labels)


@pytest.mark.parametrize("optimizer", ["adamw", "lars"])
@pytest.mark.parametrize("decay", [None, 0.9])
def test_a_stopped_run_goes_on_with_its_probe_and_its_optimiser(decay, optimizer, tmp_path):
    settings = SETTINGS.changed(online_probe=ON, ema_decay=decay, optimizer=optimizer)
    whole = train_arm(plan_of(settings), source_of())

    def stop(row):
        if row["step"] == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError):
        train_arm(plan_of(settings), source_of(), tmp_path, stop)
    resumed = train_arm(plan_of(settings), source_of(), tmp_path)
    assert all(torch.equal(resumed.weights[name], each) for name, each in whole.weights.items())
    columns = [name for name in whole.history if name not in CLOCKED]
    assert resumed.history[columns].equals(whole.history[columns])


def test_images_without_classes_have_no_probe_and_the_log_says_so(caplog):
    with caplog.at_level(logging.WARNING):
        trained = train_arm(plan_of(SETTINGS.changed(online_probe=ON)), unlabelled_source())
    assert "arm: no online probe: the images (drawn) have no classes" in caplog.text
    assert "online_probe_accuracy" not in trained.history
    assert trained.history["knn_accuracy"].notna().all()


def test_classes_are_those_of_all_images():
    source = replace(source_of(), labels=torch.zeros(12, dtype=torch.long))
    held_out = replace(source, labels=torch.full((12,), 4))
    built = build_online_probe("arm", source, held_out, 6, SETTINGS.changed(online_probe=ON), CPU)
    assert built.classifier[1].weight.shape == (5, 6)


def test_a_probe_without_held_out_images_is_refused():
    with pytest.raises(ConfigError, match=r"online_probe\.enabled: got True; must be false where"):
        SETTINGS.changed(online_probe=ON, num_probe_captions=0)
