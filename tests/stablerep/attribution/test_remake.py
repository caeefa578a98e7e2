"""An image is made again from its record alone."""

import shutil
from dataclasses import replace

import pytest
import torch

from stablerep.attribution.find import find_image
from stablerep.attribution.png import read_record, with_record
from stablerep.attribution.remake import compare, remake, settings_of
from stablerep.errors import GeneratorError
from stablerep.generation.image_sets.image_set import ImageSetRequest, make_image_set
from stablerep.storage.shards import decode_image, encode_image


def test_an_exported_image_is_made_again_bit_for_bit(store, image_id, tiny_generator):
    found = find_image(image_id, store)
    record, data = read_record(with_record(found.data, found.record), "x")
    comparison = compare(record, data, remake(record, tiny_generator))
    assert comparison.same_bytes and comparison.same_pixels
    assert comparison.summary() == "bit-equal"


def test_an_image_guided_in_some_of_its_steps_is_made_again(
    captions_of, settings, image_id, tiny_generator, tmp_path
):
    chosen = settings(guidance_interval=(0.3, 1.0), batch_size=1)
    make_image_set(ImageSetRequest(captions_of(["a nine"]), chosen, tiny_generator, tmp_path / "images", 0))
    found = find_image(image_id, tmp_path / "images")
    assert compare(found.record, found.data, remake(found.record, tiny_generator)).same_bytes


@pytest.mark.parametrize("noise", ["philox", "torch"])
def test_an_image_is_made_again_with_the_noise_that_its_record_names(
    captions_of, settings, image_id, tiny_generator, tmp_path, noise
):
    chosen = settings(noise=noise, batch_size=1)
    make_image_set(ImageSetRequest(captions_of(["a nine"]), chosen, tiny_generator, tmp_path / "images", 0))
    found = find_image(image_id, tmp_path / "images")
    # a record of an older release names none
    assert found.record.generator.get("noise", "torch") == noise
    assert compare(found.record, found.data, remake(found.record, tiny_generator)).same_bytes


def test_another_seed_is_another_image_and_the_difference_is_told(store, image_id, tiny_generator):
    found = find_image(image_id, store)
    other = remake(replace(found.record, set_seed=1), tiny_generator)
    comparison = compare(found.record, found.data, other)
    difference = (decode_image(found.data).int() - other.int()).abs()
    assert not comparison.same_bytes
    assert comparison.max_difference == difference.max() > 0
    assert comparison.num_different == (difference > 0).sum()
    assert f"by {comparison.max_difference} of 255 levels" in comparison.summary()


def test_one_level_in_one_value_is_counted(store, image_id):
    found = find_image(image_id, store)
    image = decode_image(found.data)
    image[1, 2, 3] = image[1, 2, 3] + 1 if image[1, 2, 3] < 255 else 254
    comparison = compare(found.record, found.data, image)
    assert (comparison.max_difference, comparison.num_different) == (1, 1)
    assert comparison.num_values == 3 * 16 * 16


def test_equal_pixels_in_other_bytes_are_told_apart_from_equal_bytes(store, image_id):
    found = find_image(image_id, store)
    record = replace(found.record, digest="0" * 32)
    comparison = compare(record, found.data, decode_image(found.data))
    assert comparison.same_pixels and not comparison.same_bytes
    assert "equal pixels in other bytes" in comparison.summary()


def test_a_missing_image_is_compared_by_its_digest(store, image_id):
    found = find_image(image_id, store)
    image = decode_image(found.data)
    assert encode_image(image) == found.data
    assert compare(found.record, None, image).same_bytes
    assert compare(found.record, None, torch.zeros_like(image)).max_difference is None


def test_another_model_is_refused_by_the_files_that_differ(store, image_id, tiny_generator, tmp_path):
    folder = tmp_path / "other"
    shutil.copytree(tiny_generator, folder)
    path = folder / "unet" / "config.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(GeneratorError, match=r"is another model .*: unet/config\.json differ; must be tiny"):
        remake(find_image(image_id, store).record, folder)


def test_a_record_that_does_not_tell_the_generator_cannot_be_made_again(store, image_id):
    record = find_image(image_id, store).record
    with pytest.raises(GeneratorError, match="its record does not say what generator"):
        settings_of(replace(record, generator={}))
    with pytest.raises(GeneratorError, match="lacks a setting of the generator"):
        settings_of(replace(record, generator={"files": {}}))


@pytest.mark.parametrize("name", ["Gone", "DiffusionPipeline", "SchedulerMixin", "os", "__doc__", 7])
def test_a_record_that_names_anything_but_a_sampler_is_refused(store, image_id, name):
    record = find_image(image_id, store).record
    with pytest.raises(GeneratorError, match=f"sampler {name!r}: not a sampler of diffusers"):
        settings_of(replace(record, generator=record.generator | {"scheduler": name}))


def test_options_of_a_sampler_cannot_name_another_class(store, image_id):
    record = find_image(image_id, store).record
    options = {"_target_": "subprocess.Popen"}
    with pytest.raises(
        GeneratorError, match=r"options name the class 'subprocess\.Popen'; they must contain only values"
    ):
        settings_of(replace(record, generator=record.generator | {"scheduler_options": options}))
    chosen = record.generator | {"scheduler": "DDIMScheduler", "scheduler_options": {"clip_sample": False}}
    settings = settings_of(replace(record, generator=chosen))
    assert settings.scheduler == {"_target_": "diffusers.DDIMScheduler", "clip_sample": False}
