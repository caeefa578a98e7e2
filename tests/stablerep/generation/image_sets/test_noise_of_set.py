"""An image set keeps the random generator that drew its noise; a new one gets Philox."""

import json

import pandas as pd
import pytest

from stablerep.errors import GeneratorError
from stablerep.generation.image_sets import image_set, workers
from stablerep.generation.image_sets.image_set import ImageSetRequest, make_image_set
from stablerep.storage.shards import SHARDS_FOLDER, scan_shard


@pytest.fixture
def make(tiny_generator, settings, captions_of, tmp_path):
    """Returns a function that brings an image set to what is asked for."""

    def run(texts, store=tmp_path / "images", **changes):
        more = {name: changes.pop(name) for name in ("takedowns", "lenders") if name in changes}
        chosen = settings(**changes)
        return make_image_set(ImageSetRequest(captions_of(texts), chosen, tiny_generator, store, 0, **more))

    return run


def records_of(store):
    scans = [scan_shard(path) for path in sorted((store / SHARDS_FOLDER).iterdir())]
    return [sample.record for scan in scans for sample in scan.samples.values()]


def description_of(store):
    return json.loads((store / "generator.json").read_text())


def test_a_new_set_is_drawn_from_philox_and_says_so(make, texts, tmp_path):
    make(texts)
    assert {record["noise"] for record in records_of(tmp_path / "images")} == {"philox"}
    assert description_of(tmp_path / "images")["noise"] == "philox"


def test_a_set_of_an_older_release_that_is_extended_keeps_its_noise_and_its_images(make, texts, tmp_path):
    before, _ = make(texts[:4], noise="torch")
    after, ledger = make(texts)
    kept = after[after["caption_id"].isin(before["caption_id"])]
    assert ledger["num_kept"] == 4
    assert set(after["generator_id"]) == set(before["generator_id"])
    assert kept["digest"].tolist() == before["digest"].tolist()
    # as older releases wrote them: no word of the noise
    assert not any("noise" in record for record in records_of(tmp_path / "images"))
    assert "noise" not in description_of(tmp_path / "images")
    # and the new images are those that the older release would have drawn
    whole, _ = make(texts, store=tmp_path / "whole", noise="torch")
    assert after["digest"].tolist() == whole["digest"].tolist()


@pytest.mark.parametrize("damage", ["missing", "{"])
def test_the_images_decide_and_not_the_description_beside_them(make, texts, tmp_path, damage):
    make(texts, noise="torch")
    path = tmp_path / "images" / "generator.json"
    path.unlink() if damage == "missing" else path.write_text(damage)
    assert make(texts)[1]["num_made_images"] == 0


def test_a_set_that_must_be_drawn_again_anyway_gets_philox(make, texts, tmp_path):
    make(texts, noise="torch")
    make(texts, guidance_scale=4.0)
    assert description_of(tmp_path / "images")["noise"] == "philox"


def test_images_of_an_older_release_come_back_from_the_cache(make, texts, monkeypatch):
    make(texts, noise="torch", cache_mib=1)
    make(texts, guidance_scale=4.0, cache_mib=1)
    monkeypatch.setattr(workers, "DiffusersGenerator", None)
    assert make(texts, cache_mib=1)[1]["num_from_cache"] == len(texts)


def test_who_names_a_noise_gets_it_and_keeps_it(make, texts):
    older, _ = make(texts, noise="torch")
    newer, ledger = make(texts, noise="philox", cache_mib=1)
    assert ledger["num_kept"] == 0
    assert not set(newer["digest"]) & set(older["digest"])
    assert make(texts, cache_mib=1)[1]["num_made_images"] == 0


def test_another_noise_does_not_undo_a_takedown(make, texts):
    older, _ = make(texts, noise="torch")
    row = {"kind": "generator", "what": older["generator_id"][0], "date": "2026-01-31", "who": "Ada"}
    takedowns = pd.DataFrame([row | {"reason": "why"}])
    for noise in ("auto", "philox"):
        with pytest.raises(GeneratorError, match="taken down on 2026-01-31"):
            make(texts, noise=noise, takedowns=takedowns)


# ------------------------------------------------------------------------------- images of other sets


def test_images_that_another_set_has_are_copied_and_not_drawn(make, texts, tmp_path, monkeypatch):
    monkeypatch.setattr(image_set, "describe_software", lambda: {"torch": "1"})
    lent, _ = make(texts, store=tmp_path / "lender", num_shards=2)
    monkeypatch.setattr(image_set, "describe_software", lambda: {"torch": "2"})
    made, ledger = make([*texts[:3], "a blue eight"], images_per_caption=1, lenders=[tmp_path / "lender"])
    assert (ledger["num_kept"], ledger["num_made_images"]) == (3, 1)
    digests = lent.set_index(["caption_id", "image_index"])["digest"]
    assert sum(row.digest == digests.get((row.caption_id, 0)) for row in made.itertuples()) == 3
    versions = json.loads((tmp_path / "images" / "software.json").read_text())
    releases = {
        versions["versions"][each]["torch"] for each in (versions["rest"], *versions["images"].values())
    }
    assert releases == {"1", "2"}  # each image with what made it


@pytest.mark.parametrize("changes", [{"guidance_scale": 4.0}, {"noise": "torch"}])
def test_images_of_other_settings_are_not_borrowed(make, texts, tmp_path, changes):
    make(texts, store=tmp_path / "lender", **changes)
    _, ledger = make(texts, lenders=[tmp_path / "lender", tmp_path / "nowhere"])
    assert ledger["num_kept"] == 0


def test_a_damaged_image_is_not_borrowed(make, texts, tmp_path):
    lent, _ = make(texts, store=tmp_path / "lender", num_shards=1)
    (shard,) = (tmp_path / "lender" / SHARDS_FOLDER).iterdir()
    data = bytearray(shard.read_bytes())
    position = data.index(b"IDAT") + 8
    data[position] ^= 0xFF
    shard.write_bytes(bytes(data))
    made, ledger = make(texts, lenders=[tmp_path / "lender"])
    assert ledger["num_made_images"] == 1
    assert made["digest"].tolist() == lent["digest"].tolist()
