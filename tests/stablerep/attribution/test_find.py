"""Images are found by id and by file; damage and half-made sets are told."""

import json

import pandas as pd
import pytest

from stablerep.attribution.find import find_image
from stablerep.attribution.png import with_record
from stablerep.caption_ids import caption_id_of
from stablerep.errors import DataError
from stablerep.generation.diffusion.generator import image_noise_seed
from stablerep.storage.shards import SHARDS_FOLDER


def test_an_id_leads_to_the_whole_record(store, image_id):
    found = find_image(image_id, store)
    record = found.record
    assert found.intact and record.image_id == image_id
    assert (record.text, record.source, record.licence) == ("a nine", "one", "CC0-1.0")
    assert (record.set_seed, record.noise_seed) == (0, image_noise_seed(0, caption_id_of("a nine"), 1))
    assert record.generator["generator_id"] == record.generator_id
    assert (record.generator["guidance_scale"], record.generator["num_inference_steps"]) == (2.5, 3)
    assert record.model_id.startswith("m-")
    assert record.software["torch"] and record.software["diffusers"]
    manifest = pd.read_parquet(store / "manifest.parquet")
    row = manifest[manifest.member == f"{image_id}.png"].iloc[0]
    assert row.digest == record.digest and row.seed == record.noise_seed


def test_the_name_inside_the_shard_is_an_id_too(store, image_id):
    assert find_image(f"{image_id}.png", store) == find_image(image_id, store)


def test_an_exported_file_is_read_without_the_image_set(store, image_id, tmp_path):
    found = find_image(image_id, store)
    path = tmp_path / "any name.png"
    path.write_bytes(with_record(found.data, found.record))
    again = find_image(str(path), tmp_path / "no set")
    assert again.intact and again.record == found.record and again.data == found.data


def test_an_image_out_of_a_shard_is_found_by_its_bytes(store, image_id, tmp_path):
    found = find_image(image_id, store)
    path = tmp_path / "0001.png"
    path.write_bytes(found.data)
    assert find_image(str(path), store).record == found.record
    with pytest.raises(DataError, match="carries no record, and no image of"):
        find_image(str(path), tmp_path / "no set")


def test_changed_pixels_are_not_intact(store, image_id, tmp_path):
    found = find_image(image_id, store)
    data = bytearray(with_record(found.data, found.record))
    data[-20] ^= 1
    (tmp_path / "x.png").write_bytes(data)
    assert not find_image(str(tmp_path / "x.png"), store).intact


def test_damage_in_a_shard_is_not_intact(store, image_id):
    for path in (store / SHARDS_FOLDER).iterdir():
        data = bytearray(path.read_bytes())
        position = data.find(f"{image_id}.png\0".encode())
        if position >= 0:
            data[position + 512 + 45] ^= 1
            path.write_bytes(data)
    assert not find_image(image_id, store).intact


def test_a_half_made_set_claims_no_generator(store, image_id):
    facts = json.loads((store / "generator.json").read_text())
    (store / "generator.json").write_text(json.dumps(facts | {"generator_id": "g-0000000000000000"}))
    record = find_image(image_id, store).record
    assert record.generator == {} and record.model_id == "unknown"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nothing", "image 'nothing': no such file and no image id; must be <caption id>.<k>"),
        ("c-0000000000000000.0", "caption 'c-0000000000000000': has no image"),
        (f"{caption_id_of('a nine')}.2", r"no such image; must be one of this caption's: .*\.0, .*\.1"),
        (caption_id_of("a nine"), r"This caption's are .*\.0, .*\.1\."),
        ("x" * 5000, "no such file and no image id"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(store, target, message):
    with pytest.raises(DataError, match=message):
        find_image(target, store)
