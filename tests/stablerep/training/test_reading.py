"""Images are read from the shards when a batch wants them, and a damaged one ends no epoch."""

import io
import itertools
import threading
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from stablerep.errors import DataError
from stablerep.image_sets.source import ImageSource
from stablerep.image_sets.stored_images import StoredImages
from stablerep.storage.outages import OutageError
from stablerep.storage.pixels import ImagesInMemory, UnreadableImageError
from stablerep.storage.shards import SHARDS_FOLDER, digest_of, member_name, open_shard, read_images
from stablerep.training.batches import Batch, GroupedSampler
from stablerep.training.reading import MAX_TRIED, BatchReader, read_ahead

NUM_CAPTIONS, PER_CAPTION, SIDE = 6, 3, 4


def png(number, side=SIDE):
    pixels = np.full((side, side, 3), number, np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


@pytest.fixture
def stored(tmp_path):
    """An image set of two shards, its manifest, and the caption row of each image."""
    rows = []
    for shard in range(2):
        name = f"{shard:05d}.tar"
        with open_shard(tmp_path / SHARDS_FOLDER / name) as add:
            for caption in range(shard, NUM_CAPTIONS, 2):
                caption_id = f"c-{caption:016x}"
                images = {k: png(10 * caption + k) for k in range(PER_CAPTION)}
                entries = [{"index": k, "digest": digest_of(data)} for k, data in images.items()]
                add({"caption_id": caption_id, "images": entries}, images)
                rows += [
                    {
                        "caption_id": caption_id,
                        "shard": name,
                        "member": member_name(caption_id, k),
                        "digest": digest_of(images[k]),
                    }
                    for k in images
                ]
    manifest = pd.DataFrame(rows).sample(frac=1, random_state=0, ignore_index=True)
    caption_rows = torch.tensor([int(each[2:], 16) for each in manifest["caption_id"]])
    return tmp_path, manifest, caption_rows


def source_of(stored, cache_mib=1.0):
    store, manifest, caption_rows = stored
    texts = tuple(f"caption {row}" for row in range(NUM_CAPTIONS))
    return ImageSource("synthetic", StoredImages(store, manifest, cache_mib), caption_rows, texts)


def damage(stored, rows):
    """Overwrites the bytes of some images in their shards."""
    store, manifest, _ = stored
    images = StoredImages(store, manifest, 0)
    for row in rows:
        offset, _ = images.places[row]
        with (store / SHARDS_FOLDER / manifest["shard"][row]).open("r+b") as file:
            file.seek(offset + 30)
            file.write(b"damage")


def test_images_are_those_that_the_shards_hold(stored):
    store, manifest, _ = stored
    whole, _ = read_images(store, manifest)
    images = StoredImages(store, manifest, cache_mib=1)
    assert len(images) == len(manifest)
    assert all(torch.equal(images.read(row), whole[row]) for row in range(len(manifest)))


@pytest.mark.parametrize("images", [0, 2, 100])
def test_no_more_images_are_kept_than_there_is_room_for(stored, images):
    store, manifest, _ = stored
    bytes_each = SIDE * SIDE * 3
    source = StoredImages(store, manifest, cache_mib=images * bytes_each / 2**20)
    whole, _ = read_images(store, manifest)
    for row in [0, 1, 2, 0, 5, 1, 3, 0]:
        assert torch.equal(source.read(row), whole[row])
    assert len(source._kept) == min(images, 5)
    # the file may go as long as the image is kept
    for shard in manifest["shard"].unique():
        (store / SHARDS_FOLDER / shard).unlink()
    if images:
        assert torch.equal(source.read(0), whole[0])
    with pytest.raises(OutageError, match=r"\d\.tar: is missing"):
        source.read(7)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_are_the_samplers_however_many_processes_decode(stored, num_workers):
    source = source_of(stored)
    whole, _ = read_images(*stored[:2])
    wanted = list(itertools.islice(GroupedSampler(source, 4, 2, seed=3).batches(), 7))
    read = list(itertools.islice(read_ahead(source, wanted, num_workers), 7))
    for batch, got in zip(wanted, read, strict=True):
        assert torch.equal(got.batch.image_rows, batch.image_rows)
        assert torch.equal(got.pixels, whole[batch.image_rows])
        assert got.unreadable == ()


def test_the_next_batch_is_read_while_this_one_is_worked_on():
    read = [threading.Event() for _ in range(4)]

    class Watched(ImagesInMemory):
        def read(self, row):
            read[row].set()
            return super().read(row)

    images = Watched(torch.zeros(4, 3, SIDE, SIDE, dtype=torch.uint8))
    source = ImageSource("drawn", images, torch.arange(4), tuple("abcd"))
    batches = [Batch(torch.tensor([row]), torch.tensor([0]), torch.tensor([row])) for row in range(4)]
    reader = read_ahead(source, batches, 0)
    assert next(reader).batch.image_rows.tolist() == [0]
    assert read[1].wait(timeout=30)
    assert not read[2].is_set()
    assert [each.batch.image_rows.tolist() for each in reader] == [[1], [2], [3]]


def test_reading_leaves_the_global_random_state_alone(stored):
    source = source_of(stored)
    before = torch.get_rng_state()
    list(itertools.islice(read_ahead(source, GroupedSampler(source, 4, 2, seed=3).batches(), 0), 2))
    assert torch.equal(torch.get_rng_state(), before)


def test_an_unreadable_image_is_named_and_another_of_its_caption_takes_its_place(stored):
    _, manifest, caption_rows = stored
    damage(stored, [4])
    source = source_of(stored)
    (batch,) = itertools.islice(GroupedSampler(source, NUM_CAPTIONS * 3, 3, seed=0).batches(), 1)
    (read,) = read_ahead(source, [batch], 0)
    place = batch.image_rows.tolist().index(4)
    assert int(read.batch.image_rows[place]) != 4
    assert torch.equal(caption_rows[read.batch.image_rows], caption_rows[batch.image_rows])
    assert torch.equal(read.pixels[place], source.images.read(int(read.batch.image_rows[place])))
    (told,) = read.unreadable
    assert manifest["member"][4] in told
    assert "other bytes" in told


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_caption_without_any_readable_image_is_told_where_no_other_is_left(stored, num_workers):
    caption_rows = stored[2]
    damage(stored, torch.nonzero(caption_rows == 2).flatten().tolist())
    source = source_of(stored)
    batches = GroupedSampler(source, NUM_CAPTIONS * 3, 3, seed=0).batches()
    told = r"^image source 'synthetic': no image of the caption 'caption 2' can be read, .*Run `kedro run"
    with pytest.raises(DataError, match=told):
        next(read_ahead(source, batches, num_workers))


def test_another_caption_takes_the_place_of_one_without_any_readable_image(stored, caplog):
    _, manifest, caption_rows = stored
    damaged = torch.nonzero(caption_rows == 2).flatten().tolist()
    damage(stored, damaged)
    source = source_of(stored)
    rows = torch.cat([torch.nonzero(caption_rows == each).flatten()[:2] for each in (2, 3)])
    batch = Batch(rows, torch.tensor([0, 0, 1, 1]), torch.tensor([2, 3]))
    (read,) = read_ahead(source, [batch], 0)
    assert read.batch.text_rows.tolist() == [4, 3]
    assert caption_rows[read.batch.image_rows].tolist() == [4, 4, 3, 3]
    assert read.batch.image_rows[0] != read.batch.image_rows[1]
    assert all(
        torch.equal(pixels, source.images.read(int(row)))
        for row, pixels in zip(read.batch.image_rows, read.pixels, strict=True)
    )
    assert len(read.unreadable) == len(damaged)
    assert sum("another takes its place" in line for line in caplog.messages) == len(damaged)
    assert all(manifest["member"][row] in " ".join(read.unreadable) for row in damaged)


class Counted(ImagesInMemory):
    """Images that cannot be read, and how often that was tried."""

    def __init__(self, num, fault):
        super().__init__(torch.zeros(num, 3, SIDE, SIDE, dtype=torch.uint8))
        self.fault, self.num_reads = fault, 0

    def read(self, row):
        self.num_reads += 1
        raise self.fault


def test_the_search_for_another_caption_is_bounded():
    images = Counted(1000, UnreadableImageError("has other bytes"))
    source = ImageSource("drawn", images, torch.arange(1000), tuple("a" * 1000))
    batch = Batch(torch.tensor([7]), torch.tensor([0]), torch.tensor([7]))
    with pytest.raises(DataError, match="none of the next 10 captions that could take its place"):
        next(read_ahead(source, [batch], 0))
    assert images.num_reads == 1 + MAX_TRIED


def test_an_outage_looks_for_no_other_image():
    images = Counted(1000, OutageError("the file system failed"))
    source = ImageSource("drawn", images, torch.arange(1000), tuple("a" * 1000))
    batch = Batch(torch.tensor([7]), torch.tensor([0]), torch.tensor([7]))
    with pytest.raises(OutageError):
        next(read_ahead(source, [batch], 0))
    assert images.num_reads == 1


def test_a_damaged_image_is_reported_once_and_when_it_is_met(stored, caplog):
    damage(stored, [4])
    source = source_of(stored)
    reader = BatchReader(source)
    (batch,) = itertools.islice(GroupedSampler(source, NUM_CAPTIONS * 3, 3, seed=0).batches(), 1)
    for _ in range(2):
        assert len(reader[batch].unreadable) == 1
        assert sum("has other bytes" in line for line in caplog.messages) == 1


def test_processes_choose_different_captions_in_the_place_of_damaged_ones():
    """Each knows its own part alone, and what the others have before they replace anything."""
    captions = torch.arange(60).repeat_interleave(2)
    images = ImagesInMemory(torch.zeros(120, 3, SIDE, SIDE, dtype=torch.uint8))
    damaged: set[int] = set()

    class Damaged(ImagesInMemory):
        def read(self, row):
            if int(captions[row]) in damaged:
                raise UnreadableImageError(f"image {row}: has other bytes")
            return images.read(row)

    source = ImageSource("drawn", Damaged(images.images), captions, tuple("a" * 60))
    sampler = GroupedSampler(source, 24, 2, seed=0)
    parts = [next(sampler.batches(0, rank, 3)) for rank in range(3)]
    damaged |= {caption for part in parts for caption in part.text_rows.tolist()}
    assert len(damaged) == 12
    taken = [BatchReader(source)[part].batch.text_rows.tolist() for part in parts]
    chosen = [caption for part in taken for caption in part]
    assert len(set(chosen)) == 12
    assert not damaged.intersection(chosen)


def test_a_caption_with_one_image_takes_no_place_where_two_are_wanted():
    captions = torch.tensor([0, 0, 1, 2, 3, 3])
    images = ImagesInMemory(torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 3, SIDE, SIDE))

    class Damaged(ImagesInMemory):
        def read(self, row):
            if row < 2:
                raise UnreadableImageError(f"image {row}: has other bytes")
            return images.read(row)

    source = ImageSource("drawn", Damaged(images.images), captions, tuple("abcd"))
    batch = Batch(torch.tensor([0, 1]), torch.tensor([0, 0]), torch.tensor([0]))
    assert BatchReader(source)[batch].batch.text_rows.tolist() == [3]


def test_an_image_of_another_size_or_a_missing_one_is_unreadable(stored):
    store, manifest, _ = stored
    manifest = manifest.copy()
    manifest.loc[3, "member"] = member_name("c-00000000000000ff", 0)
    images = StoredImages(store, manifest, 0)
    with pytest.raises(UnreadableImageError, match="is missing"):
        images.read(3)
    images._shape = torch.Size((3, 9, 9))
    with pytest.raises(UnreadableImageError, match=r"is \(3, 4, 4\); must be \(3, 9, 9\) as the others"):
        images.read(0)


def test_a_missing_shard_is_told_before_training(stored):
    store, manifest, _ = stored
    (store / SHARDS_FOLDER / "00001.tar").unlink()
    with pytest.raises(DataError, match=r"00001\.tar: cannot be read .*Run `kedro run"):
        StoredImages(store, manifest, 0)


def test_other_images_have_another_fingerprint(stored):
    store, manifest, _ = stored
    mine = StoredImages(store, manifest, 0).fingerprint()
    assert StoredImages(store, manifest, 9).fingerprint() == mine
    assert StoredImages(store, manifest.iloc[::-1], 0).fingerprint() != mine
    pixels = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    assert ImagesInMemory(pixels).fingerprint() != ImagesInMemory(pixels + 1).fingerprint()


def test_what_a_batch_reads_of_memory_is_what_it_names(stored):
    images = torch.randint(0, 256, (18, 3, 4, 4), dtype=torch.uint8)
    source = replace(source_of(stored), images=ImagesInMemory(images))
    (batch,) = itertools.islice(GroupedSampler(source, 4, 2, seed=0).batches(), 1)
    (read,) = read_ahead(source, [batch], 0)
    assert torch.equal(read.pixels, images[batch.image_rows])
