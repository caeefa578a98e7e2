"""The grouped sampler: what a batch holds, and in which order."""

import pytest
import torch

from stablerep.errors import DataError
from stablerep.image_sets.source import ImageSource
from stablerep.storage.pixels import ImagesInMemory
from stablerep.training import batches
from stablerep.training.batches import GroupedSampler


def source(num_captions=10, per_caption=4):
    rows = torch.arange(num_captions).repeat_interleave(per_caption)
    images = torch.zeros(len(rows), 3, 4, 4, dtype=torch.uint8)
    return ImageSource(
        "test", ImagesInMemory(images), rows, tuple(f"caption {i}" for i in range(num_captions))
    )


def take(sampler, number):
    return [batch for batch, _ in zip(sampler.batches(), range(number), strict=False)]


def test_a_batch_holds_m_different_images_of_each_of_its_captions():
    data = source()
    for batch in take(GroupedSampler(data, 12, 3, seed=0), 5):
        assert len(batch.text_rows) == 4
        assert len(set(batch.image_rows.tolist())) == 12
        assert torch.equal(data.caption_rows[batch.image_rows], batch.text_rows[batch.caption_N])


def test_an_epoch_shows_each_caption_once():
    taken = take(GroupedSampler(source(), 8, 4, seed=0), 5)
    assert sorted(torch.cat([b.text_rows for b in taken]).tolist()) == list(range(10))


def test_the_order_is_a_function_of_the_seed():
    first = take(GroupedSampler(source(), 8, 4, seed=1), 7)
    second = take(GroupedSampler(source(), 8, 4, seed=1), 7)
    other = take(GroupedSampler(source(), 8, 4, seed=2), 7)
    assert all(torch.equal(a.image_rows, b.image_rows) for a, b in zip(first, second, strict=True))
    assert not all(torch.equal(a.image_rows, b.image_rows) for a, b in zip(first, other, strict=True))


def test_captions_with_too_few_images_are_left_out():
    rows = torch.tensor([0, 0, 1, 2, 2])
    data = ImageSource(
        "test", ImagesInMemory(torch.zeros(5, 3, 4, 4, dtype=torch.uint8)), rows, ("a", "b", "c")
    )
    batch = take(GroupedSampler(data, 4, 2, seed=0), 1)[0]
    assert sorted(batch.text_rows.tolist()) == [0, 2]


def test_a_caption_of_which_an_image_was_rejected_shows_each_and_one_of_them_again():
    rows = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2])
    data = ImageSource(
        "test", ImagesInMemory(torch.zeros(8, 3, 4, 4, dtype=torch.uint8)), rows, ("a", "b", "c")
    )
    for batch in take(GroupedSampler(data, 8, 4, seed=0), 5):
        # one image has no positive, so its caption is left out
        assert sorted(batch.text_rows.tolist()) == [0, 1]
        drawn = batch.image_rows[batch.text_rows[batch.caption_N] == 1].tolist()
        assert set(drawn) == {4, 5, 6} and len(drawn) == 4
        assert torch.equal(data.caption_rows[batch.image_rows], batch.text_rows[batch.caption_N])


def test_two_images_fill_a_batch_of_six_a_caption():
    data = source(num_captions=4, per_caption=2)
    batch = take(GroupedSampler(data, 24, 6, seed=0), 1)[0]
    assert set(batch.image_rows.tolist()) == set(range(8))


def test_fewer_captions_than_a_batch_needs_is_an_error_that_says_how_many():
    with pytest.raises(DataError, match=r"got 10 captions.*at least 16"):
        GroupedSampler(source(), 64, 4, seed=0)


def test_the_parts_of_processes_make_up_the_batch_and_each_draws_its_own_alone(monkeypatch):
    drawn, real = [], batches._draw
    monkeypatch.setattr(batches, "_draw", lambda *given: drawn.append(1) or real(*given))
    whole = take(GroupedSampler(source(), 12, 3, seed=0), 5)
    parts = []
    for rank in range(2):
        drawn.clear()
        sampler = GroupedSampler(source(), 12, 3, seed=0)
        parts.append([batch for batch, _ in zip(sampler.batches(0, rank, 2), range(5), strict=False)])
        assert len(drawn) == 5 * 2 + 2, "two of four captions a batch, and one batch more than was asked for"
    for batch, one, other in zip(whole, *parts, strict=True):
        assert torch.equal(batch.image_rows, torch.cat([one.image_rows, other.image_rows]))
        assert torch.equal(batch.text_rows, torch.cat([one.text_rows, other.text_rows]))
        assert torch.equal(batch.caption_N, torch.cat([one.caption_N, other.caption_N + 2]))


@pytest.mark.parametrize("first", [1, 2, 5])
def test_a_sampler_that_begins_later_goes_on_alike_and_draws_nothing_before(first, monkeypatch):
    whole = take(GroupedSampler(source(), 12, 3, seed=0), 7)
    drawn, real = [], batches._draw
    monkeypatch.setattr(batches, "_draw", lambda *given: drawn.append(1) or real(*given))
    later = next(GroupedSampler(source(), 12, 3, seed=0).batches(first))
    assert torch.equal(later.image_rows, whole[first].image_rows)
    assert len(drawn) == 4


def test_an_epoch_draws_other_images_than_the_one_before():
    first, second = take(GroupedSampler(source(num_captions=4, per_caption=9), 8, 2, seed=0), 4)[1::2]
    assert set(first.image_rows.tolist()) != set(second.image_rows.tolist())
