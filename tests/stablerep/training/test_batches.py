"""The grouped sampler: what a batch holds, and in which order."""

import pytest
import torch

from stablerep.errors import DataError
from stablerep.storage.pixels import ImagesInMemory
from stablerep.training.batches import GroupedSampler, ImageSource


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
    batches = take(GroupedSampler(source(), 8, 4, seed=0), 5)
    assert sorted(torch.cat([b.text_rows for b in batches]).tolist()) == list(range(10))


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
