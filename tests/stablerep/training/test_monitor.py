"""The collapse monitor on even, low-rank and collapsed embeddings."""

import logging

import pytest
import torch
from torch.nn import functional as F

from stablerep.training.monitor import spread_of, warn_of_collapse


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
