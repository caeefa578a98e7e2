"""What left an image set comes back from beside it, as long as it fits and nobody took it down."""

import json
import os
import tarfile
from pathlib import Path

import pandas as pd
import pytest

from stablerep.caption_ids import caption_id_of
from stablerep.curation.people.takedowns import CAPTION, GENERATOR, SOURCE, no_takedowns
from stablerep.errors import DataError
from stablerep.generation.accounts.software import read_software
from stablerep.generation.image_sets import image_set, workers
from stablerep.generation.image_sets.cache import SampleCache
from stablerep.generation.image_sets.image_set import ImageSetRequest, make_image_set
from stablerep.storage.shards import SHARDS_FOLDER, locate_members, scan_shard


@pytest.fixture
def store(tmp_path):
    return tmp_path / "images"


@pytest.fixture
def make(tiny_generator, settings, captions_of, store):
    """Returns a function that brings the image set to what is asked for, with a cache beside it."""

    def run(texts, into=store, takedowns=None, **changes):
        changes = {"cache_mib": 1, **changes}
        takedowns = no_takedowns() if takedowns is None else takedowns
        return make_image_set(
            ImageSetRequest(captions_of(texts), settings(**changes), tiny_generator, into, 0, takedowns)
        )

    return run


def cached(store):
    folder = store.with_name("images.cache")
    return sorted(path.name.partition(".")[0] for path in folder.iterdir()) if folder.is_dir() else []


def shards_of(store):
    return {path.name: path.read_bytes() for path in (store / SHARDS_FOLDER).iterdir()}


def test_a_caption_that_comes_back_is_not_drawn_again(make, store, texts, monkeypatch, caplog):
    caplog.set_level("INFO")
    make(texts)
    before = shards_of(store)
    make(texts[2:])
    assert cached(store) == sorted(map(caption_id_of, texts[:2]))
    monkeypatch.setattr(workers, "DiffusersGenerator", None)
    _, ledger = make(texts)
    assert ledger["num_made_images"] == 0 and ledger["num_from_cache"] == 2 and ledger["num_kept"] == 6
    assert shards_of(store) == before
    assert cached(store) == []
    assert "6 captions: 6 kept (2 back from the cache), 0 to make, 0 to drop" in caplog.text


def test_a_generator_that_comes_back_finds_its_images(make, store, texts, monkeypatch):
    make(texts)
    before = shards_of(store)
    make(texts, guidance_scale=4.0)
    assert shards_of(store) != before
    monkeypatch.setattr(workers, "DiffusersGenerator", None)
    _, ledger = make(texts)
    assert ledger["num_from_cache"] == 6
    assert shards_of(store) == before


def test_images_of_one_caption_that_left_one_after_the_other_all_come_back(make, store, texts, monkeypatch):
    make(texts, images_per_caption=3)
    make(texts, images_per_caption=2)
    make(texts[1:], images_per_caption=2)
    monkeypatch.setattr(workers, "DiffusersGenerator", None)
    manifest, ledger = make(texts, images_per_caption=3)
    assert ledger["num_made_images"] == 0 and len(manifest) == 18


def test_no_cache_keeps_nothing_and_empties_one_that_is_there(make, store, texts):
    make(texts)
    make(texts[2:])
    assert cached(store)
    make(texts[3:], cache_mib=0)
    assert cached(store) == []


def test_a_full_cache_loses_what_was_put_there_first(store, make, texts):
    make(texts)
    make(texts[1:])
    folder = store.with_name("images.cache")
    (first,) = folder.iterdir()
    os.utime(first, (1, 1))
    make(texts[2:])
    SampleCache(store, first.stat().st_size).trim()
    assert cached(store) == [caption_id_of(texts[1])]


def test_what_a_generator_made_that_was_taken_down_does_not_go_into_the_cache(make, store, texts):
    manifest, _ = make(texts)
    row = {
        "kind": GENERATOR,
        "what": manifest["generator_id"][0],
        "date": "2026-01-31",
        "who": "a",
        "reason": "b",
    }
    make(texts, takedowns=pd.DataFrame([row]), guidance_scale=4.0)
    assert cached(store) == []


def test_a_cache_takes_no_more_than_it_may_hold(make, store, texts):
    make(texts)
    make(texts[4:], cache_mib=0.001)
    assert cached(store) == []


def test_a_damaged_sample_is_named_and_made_again(make, store, texts, caplog):
    make(texts)
    before = shards_of(store)
    make(texts[1:])
    (path,) = store.with_name("images.cache").iterdir()
    data = bytearray(path.read_bytes())
    place = data.rindex(b"IDAT") + 8  # inside of the second image
    data[place] ^= 1
    path.write_bytes(bytes(data))
    _, ledger = make(texts)
    assert "images.cache" in caplog.text and "has other bytes than its record says" in caplog.text
    assert ledger["num_made_images"] == 1 and ledger["num_from_cache"] == 1
    assert shards_of(store) == before


@pytest.mark.parametrize("kind", [CAPTION, SOURCE, GENERATOR, "model"])
def test_what_was_taken_down_is_in_no_cache(make, store, texts, kind):
    manifest, _ = make(texts)
    make(texts[2:])
    generator_id = manifest["generator_id"][0]
    what = {CAPTION: caption_id_of(texts[0]), SOURCE: "test", GENERATOR: generator_id, "model": "m-00"}[kind]
    row = {"kind": GENERATOR if kind == "model" else kind, "what": what}
    num = SampleCache(store, 1 << 20).forget_taken_down(pd.DataFrame([row]))
    left = {CAPTION: [caption_id_of(texts[1])]}.get(kind, [])
    assert cached(store) == left and num == 2 - len(left)


def test_a_caption_that_is_taken_down_leaves_for_good(make, store, texts):
    make(texts)
    row = {
        "kind": CAPTION,
        "what": caption_id_of(texts[0]),
        "reason": "asked",
        "who": "me",
        "date": "2026-01-01",
    }
    make(texts[1:], takedowns=pd.DataFrame([row]))
    assert cached(store) == []


def test_an_image_from_the_cache_keeps_the_release_that_made_it(make, store, texts, monkeypatch):
    for release, wanted in (("1", texts), ("2", texts[1:]), ("3", texts)):
        monkeypatch.setattr(image_set, "describe_software", lambda release=release: {"torch": release})
        manifest, _ = make(wanted)
    software = read_software(store)
    assert {each["torch"] for each in software.versions.values()} == {"1"}
    drawn = manifest["generator_id"][0], 0
    assert software.versions_of(f"{caption_id_of(texts[0])}.0", *drawn) == {"torch": "1"}


def test_a_sample_in_the_cache_is_a_shard_of_its_own(make, store, texts):
    make(texts)
    make(texts[1:])
    (path,) = store.with_name("images.cache").iterdir()
    scan = scan_shard(path)
    assert scan.faults == []
    (sample,) = scan.samples.values()
    assert sample.record["text"] == texts[0] and set(sample.digests) == {0, 1}
    assert json.dumps(sample.record["software"])


def test_a_shard_is_opened_as_often_for_many_samples_that_leave_it_as_for_few(
    make, texts, tmp_path, monkeypatch
):
    opened = []
    real = tarfile.open

    def note(name=None, *given, **named):
        opened.append(Path(str(getattr(named.get("fileobj"), "name", name))))
        return real(name, *given, **named)

    counts = []
    for num in (2, 6):
        store = tmp_path / str(num) / "images"
        make(texts[:num], into=store, num_shards=1)
        monkeypatch.setattr(tarfile, "open", note)
        make(texts[:num], into=store, num_shards=1, guidance_scale=4.0)
        monkeypatch.undo()
        assert len(cached(store)) == num
        counts.append(sum(path.parent.name == SHARDS_FOLDER for path in opened))
        opened.clear()
    assert counts[0] == counts[1] > 0


def test_intact_samples_of_a_cut_shard_go_into_the_cache(make, store, texts):
    make(texts, num_shards=1)
    (path,) = (store / SHARDS_FOLDER).iterdir()
    places = locate_members(path)
    offset, size = places[sorted(places)[len(places) // 2 + 1]]
    path.write_bytes(path.read_bytes()[: offset + size // 2])
    with pytest.raises(DataError, match="unexpected end of data"):
        locate_members(path)
    left = sorted(key for key, sample in scan_shard(path).samples.items() if sample.digests)
    assert 1 < len(left) < len(texts)
    make(texts, num_shards=1, guidance_scale=4.0)
    assert cached(store) == left
