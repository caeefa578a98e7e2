"""Which software made which image: kept, added to, and never claimed by a later release."""

import json

import pytest

from stablerep.attribution.find import scan_shards, whole_record
from stablerep.caption_ids import caption_id_of
from stablerep.errors import DataError
from stablerep.generation.accounts.software import SOFTWARE_FILE, SoftwareOfImages, read_software
from stablerep.generation.image_sets import image_set
from stablerep.generation.image_sets.generator_file import read_generators
from stablerep.generation.image_sets.image_set import ImageSetRequest, make_image_set


@pytest.fixture
def make(tiny_generator, settings, captions_of, tmp_path, monkeypatch):
    """Returns a function that makes an image set with a release of its own."""

    def run(texts, release, **changes):
        monkeypatch.setattr(image_set, "describe_software", lambda: {"torch": release})
        make_image_set(
            ImageSetRequest(captions_of(texts), settings(**changes), tiny_generator, tmp_path / "images", 0)
        )
        return read_software(tmp_path / "images")

    return run


def release_of(software, text, index=0, generator_id="g-of-nothing-that-left"):
    return software.versions_of(f"{caption_id_of(text)}.{index}", generator_id, 0).get("torch")


def test_one_release_is_one_line_for_all(make, texts):
    software = make(texts, "1")
    assert software.images == {} and len(software.versions) == 1
    assert release_of(software, texts[0]) == "1"


def test_kept_images_keep_the_release_that_made_them(make, texts):
    make(texts[:4], "1")
    software = make(texts, "2")
    assert [release_of(software, text) for text in texts] == ["1"] * 4 + ["2"] * 2
    more = make(texts, "3", images_per_caption=3)
    assert [release_of(more, texts[0], index) for index in range(3)] == ["1", "1", "3"]


def test_releases_that_made_nothing_that_is_left_are_forgotten(make, texts):
    make(texts[:2], "1")
    software = make(texts[2:], "2")
    assert list(software.versions.values()) == [{"torch": "2"}]


def test_a_killed_run_leaves_no_image_to_the_next_release(make, texts, monkeypatch):
    from stablerep.generation.image_sets import workers

    real, written = workers.open_shard, []

    def die_at_the_second(path):
        if written:
            raise KeyboardInterrupt
        written.append(path)
        return real(path)

    monkeypatch.setattr(workers, "open_shard", die_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        make(texts, "1")
    monkeypatch.setattr(workers, "open_shard", real)
    software = make(texts, "2")
    assert {release_of(software, text) for text in texts} == {"1", "2"}


@pytest.mark.parametrize("num_shards_written", [0, 1])
def test_a_run_that_fails_leaves_every_image_its_release_and_its_generator(
    make, texts, monkeypatch, tmp_path, num_shards_written
):
    """Also where the run was to replace them: what is still there is what it was."""
    from stablerep.generation.image_sets import workers

    store = tmp_path / "images"
    make(texts, "1")
    whole = {path.name: path.read_bytes() for path in store.glob("*.json")}
    (first,) = read_generators(store)
    real, written = workers.open_shard, []

    def die(path):
        if len(written) == num_shards_written:
            raise KeyboardInterrupt
        written.append(path)
        return real(path)

    monkeypatch.setattr(workers, "open_shard", die)
    with pytest.raises(KeyboardInterrupt):
        make(texts, "2", guidance_scale=4.0)
    monkeypatch.setattr(workers, "open_shard", real)
    if not num_shards_written:
        assert {path.name: path.read_bytes() for path in store.glob("*.json")} == whole
    scans = scan_shards(store).values()
    samples = {key: sample.record for scan in scans for key, sample in scan.samples.items()}
    drawn = {each["generator_id"] for each in samples.values()}
    assert drawn == set(read_generators(store)) and len(drawn) == 1 + num_shards_written
    (second,) = drawn - {first} or {None}
    for text in texts:
        record = whole_record(samples[caption_id_of(text)], 0, store)
        assert record.generator["generator_id"] == record.generator_id
        assert record.software == {"torch": "1" if record.generator_id == first else "2"}
        assert record.generator["guidance_scale"] == (2.5 if record.generator_id == first else 4.0)
    # going back: what is there keeps its release, and the files are those of a run that did not fail
    software = make(texts, "3", guidance_scale=2.5)
    replaced = {text for text in texts if samples[caption_id_of(text)]["generator_id"] == second}
    assert {text: release_of(software, text) for text in texts} == {
        text: "3" if text in replaced else "1" for text in texts
    }
    assert (store / "generator.json").read_bytes() == whole["generator.json"]
    if not replaced:
        assert (store / SOFTWARE_FILE).read_bytes() == whole[SOFTWARE_FILE]


def test_a_disk_that_refuses_is_told_before_anything_is_drawn(make, texts, tmp_path):
    (tmp_path / "images").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"shards/images.*: cannot be written .*; free some space"):
        make(texts, "1")


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"versions": {}})])
def test_a_file_that_cannot_be_read_is_unknown_and_said(tmp_path, caplog, content):
    (tmp_path / SOFTWARE_FILE).write_text(content)
    assert read_software(tmp_path) == SoftwareOfImages()
    assert "what made the images is unknown" in caplog.text
    assert read_software(tmp_path / "nowhere").versions_of("c-a.0", "g-0", 0) == {}
