"""The collapse monitor on even, low-rank and collapsed embeddings."""

import logging

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from stablerep.training.monitor import lidar_of, rankme_of, spread_of, warn_of_collapse


def test_an_even_spread_has_deviation_one_and_nearly_full_rank():
    z = F.normalize(torch.randn(4096, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    spread = spread_of(z)
    assert spread["embedding_std"] == pytest.approx(1, abs=0.02)
    assert spread["effective_rank"] > 15.5


def test_a_single_point_has_deviation_zero_and_rank_one():
    spread = spread_of(torch.ones(64, 16) / 4)
    assert spread["embedding_std"] == pytest.approx(0, abs=1e-6)
    assert spread["effective_rank"] == 1


def test_embeddings_on_a_line_have_rank_one():
    z = torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]]).repeat(8, 1)
    assert spread_of(z)["effective_rank"] == pytest.approx(1, abs=1e-3)


def test_a_collapse_is_warned_of_and_a_healthy_run_is_not(caplog):
    with caplog.at_level(logging.WARNING):
        warn_of_collapse("arm", 20, {"embedding_std": 0.5, "effective_rank": 9.0})
        assert not caplog.records
        warn_of_collapse("arm", 40, {"embedding_std": 0.01, "effective_rank": 1.0})
    assert "collapsing at step 40" in caplog.text


@pytest.mark.parametrize("num_dimensions", [1, 6, 10, 64, 100])
def test_an_even_spread_has_the_full_rank_and_no_more(num_dimensions):
    axes = torch.eye(num_dimensions)
    rank = spread_of(torch.cat([axes, -axes]))["effective_rank"]
    assert rank == pytest.approx(num_dimensions)
    assert 1 <= rank <= num_dimensions


def with_singular_values(values, num=64, seed=0):
    """Returns (num, 16) embeddings with these singular values and zeros beside them."""
    generator = torch.Generator().manual_seed(seed)
    left, _ = torch.linalg.qr(torch.randn(num, 16, generator=generator))
    right, _ = torch.linalg.qr(torch.randn(16, 16, generator=generator))
    return left[:, : len(values)] @ torch.diag(torch.tensor(values)) @ right[: len(values)]


@pytest.mark.parametrize("number", [1, 2, 7, 16])
def test_rankme_of_equal_singular_values_is_their_number(number):
    assert rankme_of(with_singular_values([3.0] * number)) == pytest.approx(number, rel=1e-4)


def test_rankme_is_the_exponential_of_the_entropy_of_the_shares():
    shares = np.array([0.5, 0.3, 0.2])
    expected = np.exp(-(shares * np.log(shares)).sum())
    assert rankme_of(with_singular_values([5.0, 3.0, 2.0])) == pytest.approx(expected, rel=1e-4)


def test_rankme_counts_the_mean_and_the_effective_rank_does_not():
    """Two opposite points about a far centre: on one line, in two directions from zero."""
    z = torch.tensor([[1.0, 1.0], [-1.0, 1.0]]).repeat(8, 1)
    assert rankme_of(z) == pytest.approx(2)
    assert spread_of(z)["effective_rank"] == pytest.approx(1, abs=1e-3)


def classes_of(sizes, dims=5, seed=0):
    """Returns embeddings and labels of classes of these sizes, in a drawn order."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes)) * 3 - 1
    means = torch.randn(len(sizes), dims, generator=generator) * torch.linspace(2, 0.2, dims)
    z = means[(labels + 1) // 3] + 0.5 * torch.randn(len(labels), dims, generator=generator)
    order = torch.randperm(len(labels), generator=generator)
    return z[order], labels[order]


def lidar_by_hand(z, labels, delta):
    """One class at a time; the eigenvalues of (W + delta I)^-1 B are those of the symmetric product."""
    z, labels = z.double().numpy(), labels.numpy()
    groups = [z[labels == label] for label in np.unique(labels)]
    between = np.cov(np.stack([group.mean(axis=0) for group in groups]).T)
    within = np.mean([np.cov(group.T) for group in groups], axis=0)
    values = np.linalg.eigvals(np.linalg.solve(within + delta * np.eye(z.shape[1]), between)).real
    shares = values[values > 1e-12] / values.sum()
    return np.exp(-(shares * np.log(shares)).sum())


@pytest.mark.parametrize("sizes", [[4] * 8, [2, 3, 4, 5, 6, 7], [9, 9, 9]])
@pytest.mark.parametrize("delta", [1e-4, 0.3])
def test_lidar_is_that_of_a_direct_computation(sizes, delta):
    z, labels = classes_of(sizes)
    assert lidar_of(z, labels, delta) == pytest.approx(lidar_by_hand(z, labels, delta), rel=1e-6)


def test_lidar_leaves_out_a_class_of_one():
    z, labels = classes_of([4, 4, 4, 4])
    alone = torch.cat([z, torch.full((1, 5), 9.0)]), torch.cat([labels, torch.tensor([77])])
    assert lidar_of(*alone) == pytest.approx(lidar_of(z, labels))
    assert lidar_of(z[:1], labels[:1]) == 1


def test_lidar_of_classes_at_the_corners_of_a_simplex_is_one_less_than_their_number():
    noise = torch.cat([torch.eye(6), -torch.eye(6)]) * 0.1
    z = torch.cat([corner + noise for corner in torch.eye(6)])
    assert lidar_of(z, torch.arange(6).repeat_interleave(12)) == pytest.approx(5, rel=1e-3)


def test_lidar_does_not_count_what_varies_inside_of_classes():
    """Two classes on a line, with much noise across it: a rank of one, where RankMe sees six directions."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(4000, 6, generator=generator)
    labels = torch.arange(4000) % 2
    z[:, 0] = 0.1 * z[:, 0] + labels * 2 - 1
    assert lidar_of(z, labels) == pytest.approx(1, abs=0.01)
    assert rankme_of(z) > 5.9
