"""What came from a caption, a source or a generator is found and removed; the rest stays to the byte."""

import pandas as pd
import pytest

from stablerep.attribution import find, takedown
from stablerep.attribution.find import find_image, scan_shards
from stablerep.attribution.takedown import find_affected, remove_images
from stablerep.caption_ids import caption_id_of
from stablerep.errors import DataError
from stablerep.storage.shards import SHARDS_FOLDER, read_images, scan_shard, shard_name


def images_of(store):
    return {
        f"{key}.{index}": digest
        for scan in scan_shards(store).values()
        for key, sample in scan.samples.items()
        for index, digest in sample.digests.items()
    }


@pytest.mark.parametrize(
    ("kind", "what", "texts"),
    [
        ("caption", caption_id_of("a red two"), ["a red two"]),
        ("source", "two", ["a red two"]),
        ("source", "one", ["a nine", "a three", "a handwritten five & a <four>"]),
        ("source", "nobody", []),
        ("caption", "c-0000000000000000", []),
        ("generator", "g-0000000000000000", []),
    ],
)
def test_exactly_what_came_from_it_is_removed(store, kind, what, texts):
    before = images_of(store)
    affected = find_affected(store, kind, what)
    ids = {f"{caption_id_of(text)}.{index}" for text in texts for index in range(2)}
    assert {each for one in affected for each in one.image_ids} == ids
    assert remove_images(store, affected) == len(ids)
    assert images_of(store) == {key: digest for key, digest in before.items() if key not in ids}
    assert [scan.faults for scan in scan_shards(store).values()] == [[]] * len(scan_shards(store))
    manifest = pd.read_parquet(store / "manifest.parquet")
    assert len(manifest) == len(before) - len(ids)
    read_images(store, manifest)


@pytest.fixture
def scanned(monkeypatch):
    """Returns a list of the shards that are read whole from now on."""
    names = []
    real = scan_shard

    def note(path):
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(find, "scan_shard", note)
    monkeypatch.setattr(takedown, "scan_shard", note)
    return names


def test_a_captions_takedown_reads_its_own_shard_alone(store, scanned):
    caption_id = caption_id_of("a red two")
    assert len(list((store / SHARDS_FOLDER).iterdir())) > 1
    own = shard_name(caption_id, num_shards_of(store))
    affected = find_affected(store, "caption", caption_id)
    assert scanned == [own]
    assert remove_images(store, affected) == 2
    assert scanned == [own, own]


def test_a_sources_takedown_reads_each_shard_once_and_what_it_changes_once_more(store, scanned):
    shards = sorted(path.name for path in (store / SHARDS_FOLDER).iterdir())
    affected = find_affected(store, "source", "two")
    assert scanned == shards
    remove_images(store, affected)
    assert scanned == [*shards, affected[0].shard]


def num_shards_of(store):
    return int(next((store / SHARDS_FOLDER).iterdir()).stem.rpartition("-")[2])


@pytest.mark.parametrize("by_model", [False, True])
def test_a_generators_takedown_leaves_no_image(store, image_id, by_model):
    record = find_image(image_id, store).record
    affected = find_affected(store, "generator", record.model_id if by_model else record.generator_id)
    assert remove_images(store, affected) == 8
    assert list((store / SHARDS_FOLDER).iterdir()) == []


def test_an_image_set_that_is_not_there_holds_nothing(tmp_path):
    assert find_affected(tmp_path / "none", "source", "one") == []
    assert remove_images(tmp_path / "none", []) == 0


def test_a_damaged_neighbour_keeps_its_record_and_is_made_again_later(store):
    affected = find_affected(store, "caption", caption_id_of("a red two"))
    remove_images(store, affected)
    path = next((store / SHARDS_FOLDER).iterdir())
    data = bytearray(path.read_bytes())
    victim = next(iter(scan_shards(store)[path.name].samples))
    data[data.find(f"{victim}.0.png\0".encode()) + 512 + 45] ^= 1
    path.write_bytes(data)
    gone = find_affected(store, "caption", "c-0000000000000000")
    assert gone == []
    others = [each for each in find_affected(store, "source", "one") if each.record["caption_id"] != victim]
    remove_images(store, [each for each in others if each.shard == path.name])
    sample = scan_shards(store)[path.name].samples[victim]
    assert list(sample.digests) == [1]
    assert len(sample.record["images"]) == 2
    with pytest.raises(DataError, match="is missing"):
        manifest = pd.read_parquet(store / "manifest.parquet")
        read_images(store, manifest[manifest.caption_id == victim])
