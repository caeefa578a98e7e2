"""Metrics of features: closed forms, independent computations, a set against itself, a collapsed set."""

import numpy as np
import pytest

from stablerep.errors import ConfigError
from stablerep.image_set_metrics import density_coverage, precision_recall
from stablerep.image_set_metrics.cmmd import Cmmd
from stablerep.image_set_metrics.density_coverage import DensityCoverage
from stablerep.image_set_metrics.diversity import vendi_score
from stablerep.image_set_metrics.frechet_distance import FrechetDistance
from stablerep.image_set_metrics.kernel_distance import KernelDistance
from stablerep.image_set_metrics.metric import FeatureDistance
from stablerep.image_set_metrics.precision_recall import PrecisionRecall


def normal(num: int, num_features: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num, num_features))


@pytest.mark.parametrize(("num_clusters", "num_each", "num_features"), [(5, 7, 6), (6, 2, 40), (1, 9, 3)])
def test_the_vendi_score_of_equal_clusters_is_their_number(
    num_clusters: int, num_each: int, num_features: int
) -> None:
    directions = np.linalg.qr(normal(num_features, num_features))[0][:num_clusters]
    lengths = 1 + np.arange(num_clusters * num_each)[:, None]
    clusters = np.repeat(directions, num_each, axis=0) * lengths
    assert vendi_score(clusters) == pytest.approx(num_clusters)


def test_the_vendi_score_of_unequal_clusters_is_the_exponential_of_their_entropy() -> None:
    clusters = np.eye(3)[[0] * 5 + [1] * 3 + [2] * 2]
    shares = np.array([0.5, 0.3, 0.2])
    assert vendi_score(clusters) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


def test_the_frechet_distance_of_two_gaussians_is_that_of_the_closed_form() -> None:
    means, deviations = (
        np.array([[0.0, 1.0, 2.0], [0.5, 1.0, -1.0]]),
        np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 0.5]]),
    )
    sets = []
    for number in range(2):
        drawn = normal(50, 3, number)
        drawn -= drawn.mean(axis=0)
        white = drawn @ np.linalg.inv(np.linalg.cholesky(np.cov(drawn, rowvar=False))).T
        sets.append(white * deviations[number] + means[number])
    # |m1 - m2|^2 + sum (s1 - s2)^2, as both covariances are diagonal
    wanted = ((means[0] - means[1]) ** 2).sum() + ((deviations[0] - deviations[1]) ** 2).sum()
    assert FrechetDistance().values(*sets, seed=0)["frechet_distance"] == pytest.approx(wanted)


def test_the_frechet_distance_needs_more_images_than_features() -> None:
    assert FrechetDistance().min_images(64) == 65


def unbiased_mmd(x: np.ndarray, y: np.ndarray, kernel) -> float:
    within = [
        np.mean([kernel(a, b) for i, a in enumerate(each) for j, b in enumerate(each) if i != j])
        for each in (x, y)
    ]
    return sum(within) - 2 * np.mean([kernel(a, b) for a in x for b in y])


def test_the_kernel_distance_is_the_unbiased_squared_mmd_of_the_cubic_kernel() -> None:
    x, y = normal(9), normal(9, seed=1) + 1
    wanted = unbiased_mmd(x, y, lambda a, b: (a @ b / 4 + 1) ** 3)
    assert KernelDistance().values(x, y, 0)["kernel_distance"] == pytest.approx(wanted)


def test_cmmd_is_a_thousand_times_the_unbiased_squared_mmd_of_directions() -> None:
    x, y = normal(9), normal(9, seed=1) + 1
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (x, y)]
    wanted = 1000 * unbiased_mmd(*unit, lambda a, b: np.exp(-((a - b) ** 2).sum() / (2 * 0.7**2)))
    assert Cmmd(bandwidth=0.7).values(x, 5 * y, 0)["cmmd"] == pytest.approx(wanted)


@pytest.mark.parametrize("metric", [KernelDistance(), Cmmd(bandwidth=1.0)], ids=["kernel_distance", "cmmd"])
def test_distances_of_equal_distributions_are_zero_on_average(metric: FeatureDistance) -> None:
    drawn = [
        metric.values(normal(20, seed=2 * each), normal(20, seed=2 * each + 1), 0)[metric.name]
        for each in range(200)
    ]
    error = np.std(drawn) / np.sqrt(len(drawn))
    assert abs(np.mean(drawn)) < 3 * error
    # an estimate that counts the diagonal would lie above it: its bias is about 2 / 20 of the kernel's range
    assert min(drawn) < 0 < max(drawn)
    apart = metric.values(normal(20), normal(20, seed=1) + 2, 0)[metric.name]
    assert apart > 10 * np.std(drawn)


def test_sets_of_unequal_numbers_are_compared_by_subsets_as_large_as_the_smaller_one() -> None:
    few, many = normal(10), normal(50, seed=1) + 1
    metric = KernelDistance(num_subsets=300, subset_size=1000)
    wanted = unbiased_mmd(few, many, lambda a, b: (a @ b / 4 + 1) ** 3)
    assert metric.values(few, many, 0)["kernel_distance"] == pytest.approx(wanted, rel=0.1)
    assert metric.values(few, many, 0) == metric.values(few, many, 0) != metric.values(few, many, 1)


def brute_force(images: np.ndarray, reference: np.ndarray, k: int) -> dict[str, float]:
    def radius(of: np.ndarray, row: int) -> float:
        return sorted(np.linalg.norm(other - of[row]) for j, other in enumerate(of) if j != row)[k - 1]

    real_radii = [radius(reference, row) for row in range(len(reference))]
    radii = [radius(images, row) for row in range(len(images))]
    inside = np.array(
        [[np.linalg.norm(x - y) <= r for y, r in zip(reference, real_radii, strict=True)] for x in images]
    )
    inside_set = np.array(
        [[np.linalg.norm(y - x) <= r for x, r in zip(images, radii, strict=True)] for y in reference]
    )
    return {
        "precision": inside.any(axis=1).mean(),
        "recall": inside_set.any(axis=1).mean(),
        "density": inside.sum() / (k * len(images)),
        "coverage": inside.any(axis=0).mean(),
    }


@pytest.mark.parametrize("k", [2, 3, 5])
def test_manifold_metrics_agree_with_a_brute_force_also_across_blocks(
    k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(density_coverage, "_BLOCK", 7)
    monkeypatch.setattr(precision_recall, "_BLOCK", 7)
    images, reference = normal(23) * 0.7, normal(31, seed=1) + 0.4
    found = PrecisionRecall(k).values(images, reference, 0) | DensityCoverage(k).values(images, reference, 0)
    wanted = brute_force(images, reference, k)
    assert found == pytest.approx(wanted)
    assert len({round(each, 6) for each in wanted.values()}) >= 3, "values that could be mixed up"


def test_a_set_against_itself_is_precise_and_complete() -> None:
    images = normal(40)
    found = PrecisionRecall().values(images, images, 0) | DensityCoverage().values(images, images, 0)
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)
    assert FrechetDistance().values(images, images, 0)["frechet_distance"] == pytest.approx(0, abs=1e-9)


def test_a_collapsed_set_is_precise_and_covers_nearly_nothing() -> None:
    reference = normal(200)
    collapsed = np.repeat(reference[:1], 200, axis=0)
    found = PrecisionRecall().values(collapsed, reference, 0)
    assert found["precision"] == 1
    assert found["recall"] == pytest.approx(1 / 200), "the one image that it repeats"
    assert DensityCoverage().values(collapsed, reference, 0)["coverage"] < 0.1
    assert vendi_score(collapsed) == pytest.approx(1)
    assert FrechetDistance().values(collapsed, reference, 0)["frechet_distance"] > 1


def test_a_set_far_away_is_neither_precise_nor_complete() -> None:
    found = PrecisionRecall().values(normal(40) + 100, normal(40, seed=1), 0)
    found |= DensityCoverage().values(normal(40) + 100, normal(40, seed=1), 0)
    assert found == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def test_manifold_metrics_need_more_images_than_neighbours() -> None:
    assert PrecisionRecall(3).min_images(64) == 4
    assert DensityCoverage(5).min_images(64) == 6
    with pytest.raises(
        ConfigError, match=r"set_metrics\.precision_recall\.num_neighbours: got 0; must be >= 1"
    ):
        PrecisionRecall(0)
