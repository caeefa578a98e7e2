"""Metrics of single images: alignment, labels, duplicates, replication, overlap; and of captions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stablerep.image_set_metrics import nearest
from stablerep.image_set_metrics.alignment import Alignment
from stablerep.image_set_metrics.diversity import Diversity
from stablerep.image_set_metrics.label_accuracy import LabelAccuracy
from stablerep.image_set_metrics.metric import Group
from stablerep.image_set_metrics.near_duplicates import NearDuplicates
from stablerep.image_set_metrics.nearest import nearest_by_cosine, nearest_by_hash
from stablerep.image_set_metrics.overlap import Overlap
from stablerep.image_set_metrics.precision_recall import PrecisionRecall
from stablerep.image_set_metrics.replication import Replication, probability_above
from tests.stablerep.image_set_metrics.samples import (
    compared,
    context,
    measured,
    random_images,
    sample,
    values_of,
)


class Lengths:
    """A scorer: a text's length over 100."""

    scorer_id = "lengths"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def check(self) -> None:
        pass

    def score(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        self.asked += texts
        return torch.tensor([len(text) / 100 for text in texts])


def test_alignment_takes_the_scores_of_a_set_and_computes_the_missing_ones(tmp_path: Path) -> None:
    real = sample("real.validation", 3)
    drawn = sample("drawn", 4, texts=["ab", "abcd", "", "x"], alignment=[0.5, np.nan, np.nan, 0.1])
    scorer = Lengths()
    given = context(tmp_path, {}, real, scorer=scorer)
    (found,) = measured(Alignment(), given, drawn)
    assert scorer.asked == ["abcd"], "not those with a score, nor images without a caption"
    assert found.value == pytest.approx((0.5 + 0.04 + 0.1) / 3)
    assert (found.num_images, found.extractor) == (3, "lengths")
    assert measured(Alignment(), given, real) == [], "there are no captions"
    assert measured(Alignment(), context(tmp_path, {}, real), drawn) == [], "there is no scorer"


def test_diversity_inside_captions_is_the_mean_over_captions_with_several_images(tmp_path: Path) -> None:
    drawn = sample("drawn", 6, captions=["a", "a", "b", "b", "b", "c"])
    # two different images; three copies; one image alone
    features = np.eye(4)[[0, 1, 2, 2, 2, 3]]
    given = context(tmp_path, {"drawn": features}, sample("real.validation", 3))
    found = {each.metric: each for each in measured(Diversity(), given, drawn)}
    assert found["vendi_in_caption"].value == pytest.approx((2 + 1) / 2)
    assert found["vendi_in_caption"].num_images == 2, "captions"
    shares = np.array([1, 1, 3, 1]) / 6
    assert found["vendi"].value == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert found["vendi"].num_images == 6


def test_label_accuracy_is_the_share_of_images_that_show_their_caption(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def features(labels: list[int]) -> np.ndarray:
        return np.eye(2)[labels] * 4 + rng.normal(size=(len(labels), 2)) * 0.1

    shown = [0, 1] * 20
    real = [sample(f"real.{split}", 40, labels=shown) for split in ("train", "validation")]
    asked = [0, 0, 1, 1, 1, -1]
    drawn = sample("drawn", 6, labels=asked)
    given = context(
        tmp_path,
        {
            "drawn": features([0, 1, 1, 1, 0, 0]),
            "real.train": features(shown),
            "real.validation": features(shown),
        },
        *real,
    )
    square = Group("shape=square", np.array([2, 3, 4]), np.arange(0))
    found = {each.group: each for each in measured(LabelAccuracy(), given, drawn, square)}
    assert found["all"].metric == "label_accuracy.shape"
    assert (found["all"].value, found["all"].num_images) == (pytest.approx(3 / 5), 5)
    assert found["shape=square"].value == pytest.approx(2 / 3)
    assert values_of(LabelAccuracy(), given, real[1]) == {"label_accuracy.shape": 1}
    unknown = sample("drawn", 6)
    assert measured(LabelAccuracy(), given, unknown) == [], "no caption names a class"


def test_the_classifier_learns_from_the_train_split_alone(tmp_path: Path) -> None:
    labels = np.array([0, 1] * 20)
    real = [sample(f"real.{split}", 40, labels=labels) for split in ("train", "validation")]
    features = np.random.default_rng(0).normal(size=(40, 2)) * 0.1
    right, wrong = features + 4 * np.eye(2)[labels], features + 4 * np.eye(2)[1 - labels]
    drawn = sample("drawn", 40, labels=labels)
    given = context(tmp_path, {"real.train": right, "real.validation": wrong, "drawn": right}, *real)
    assert values_of(LabelAccuracy(), given, drawn) == {"label_accuracy.shape": 1}


def test_near_duplicates_are_images_with_nearly_the_same_pixels(tmp_path: Path) -> None:
    images = random_images(6)
    images[3] = images[0]
    images[4] = (images[1].int() + 2).clamp(0, 255).to(torch.uint8)  # a little brighter
    drawn = sample("drawn", 6, images=images)
    given = context(tmp_path, {}, sample("real.validation", 3))
    comparison = compared(given, drawn)
    (found,) = NearDuplicates().measure(comparison, None)
    assert found.value == pytest.approx(4 / 6)
    pairs = {frozenset((pair.image_id, pair.other_id)) for pair in comparison.pairs}
    assert pairs == {frozenset(("drawn-0", "drawn-3")), frozenset(("drawn-1", "drawn-4"))}
    assert len(comparison.pairs) == 2, "each pair once"
    assert comparison.pairs[0].similarity == 1
    assert torch.equal(comparison.pairs[0].pictures[0], comparison.pairs[0].pictures[1])


def replication(tmp_path: Path, drawn_from: int, generated: bool = True):
    """Generated images and features: row i is training image i, or a new image."""
    rng = np.random.default_rng(drawn_from)
    learned = rng.normal(size=(60, 8))
    training = sample("training", 60)
    copied = not drawn_from
    images = training.pixels.images[:50] if copied else None
    drawn = sample("drawn", 50, images=images, generated=generated)
    noise = rng.normal(size=(50, 8))
    features = {
        "training": learned,
        "real.validation": rng.normal(size=(55, 8)),
        "drawn": learned[:50] + 1e-3 * noise if copied else noise,
    }
    real = sample("real.validation", 55)
    return context(tmp_path, features, real, training_images=lambda num: training), drawn


def test_copies_of_training_images_are_found_and_shown(tmp_path: Path) -> None:
    given, drawn = replication(tmp_path, 0)
    found = values_of(Replication(), given, drawn)
    assert found["nearer_than_real"] == 1
    assert found["training_copies"] == 1
    assert found["training_similarity"] == pytest.approx(1, abs=1e-3)
    metric, comparison = Replication(), compared(given, drawn)
    list(metric.measure(comparison, metric.prepare(given)))
    assert len(comparison.pairs) == 12
    for pair in comparison.pairs:
        assert pair.image_id.split("-")[1] == pair.other_id.split("-")[1], "the image that it copies"
        assert torch.equal(*pair.pictures)
    similarities = [pair.similarity for pair in comparison.pairs]
    assert similarities == sorted(similarities, reverse=True)


def test_new_images_are_no_nearer_to_training_images_than_real_ones(tmp_path: Path) -> None:
    found = [values_of(Replication(), *replication(tmp_path / str(seed), seed)) for seed in range(1, 9)]
    assert np.mean([each["nearer_than_real"] for each in found]) == pytest.approx(0.5, abs=0.08)
    assert {each["training_copies"] for each in found} == {0}


def test_replication_is_asked_of_generated_images_with_known_training_images_alone(tmp_path: Path) -> None:
    assert measured(Replication(), *replication(tmp_path, 0, generated=False)) == []
    given, drawn = replication(tmp_path, 0)
    unknown = context(tmp_path, given.bank.given, given.reference)
    assert measured(Replication(), unknown, drawn) == []


def test_the_probability_of_a_larger_value_counts_ties_half() -> None:
    values, others = np.array([1.0, 2.0, 2.0, 5.0]), np.array([2.0, 0.0, 3.0])
    wanted = np.mean([(a > b) + (a == b) / 2 for a in values for b in others])
    assert probability_above(values, others) == pytest.approx(wanted)


def test_overlap_is_the_share_of_a_split_that_is_in_the_set(tmp_path: Path) -> None:
    test = sample("real.test", 8)
    real = sample("real.validation", 5)
    images = random_images(7, seed=9)
    images[2] = test.pixels.images[7]
    images[4] = test.pixels.images[0]
    drawn = sample("drawn", 7, images=images)
    same = sample("real.test", 8).table["digest"][:2]
    drawn = type(drawn)(drawn.name, drawn.pixels, drawn.table, drawn.labels, drawn.set_digests | set(same))
    given = context(tmp_path, {}, real, test)
    comparison = compared(given, drawn)
    found = {each.metric: each for each in Overlap().measure(comparison, None)}
    assert found["overlap.real.test"].value == pytest.approx(2 / 8)
    assert found["overlap.real.test"].num_images == 8, "of the split"
    assert found["identical.real.test"].value == pytest.approx(2 / 8)
    assert found["overlap.real.validation"].value == found["identical.real.validation"].value == 0
    pairs = {(pair.image_id, pair.other_id) for pair in comparison.pairs}
    assert pairs == {("drawn-2", "real.test-7"), ("drawn-4", "real.test-0")}
    assert "overlap.real.validation" not in values_of(Overlap(), given, real), "a split is not in itself"


def test_a_distance_is_left_out_of_groups_with_too_few_images_on_either_side(tmp_path: Path) -> None:
    drawn, real = sample("drawn", 30), sample("real.validation", 30)
    features = np.random.default_rng(0).normal(size=(30, 3))
    given = context(tmp_path, {"drawn": features, "real.validation": features}, real)
    many, few = np.arange(20), np.arange(3)
    groups = Group("a=b", many, many), Group("a=c", few, many), Group("a=d", many, few)
    found = measured(PrecisionRecall(), given, drawn, *groups)
    assert {each.group for each in found} == {"all", "a=b"}
    (whole,) = [each for each in found if (each.metric, each.group) == ("recall", "all")]
    assert (whole.num_images, whole.num_reference, whole.extractor) == (30, 30, "given")


def test_nearest_images_agree_with_a_brute_force_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "_BLOCK", 4)
    rng = np.random.default_rng(0)
    queries, others = rng.normal(size=(11, 5)), rng.normal(size=(9, 5))
    wanted = np.array([[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in others] for a in queries])
    cosines, rows = nearest_by_cosine(queries, others)
    assert rows.tolist() == wanted.argmax(axis=1).tolist()
    assert cosines == pytest.approx(wanted.max(axis=1), rel=1e-5)
    hashes = [rng.integers(256, size=(num, 32), dtype=np.uint8) for num in (11, 9)]
    bits = np.array([[np.unpackbits(a ^ b).sum() for b in hashes[1]] for a in hashes[0]])
    distances, rows = nearest_by_hash(*hashes)
    assert distances.tolist() == bits.min(axis=1).tolist()
    assert rows.tolist() == bits.argmin(axis=1).tolist()
