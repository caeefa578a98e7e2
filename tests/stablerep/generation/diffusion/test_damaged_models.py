"""Copies of a miniature model, each damaged in one way: one message, and the images that are there stay."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from stablerep.errors import GeneratorError
from stablerep.generation.diffusion.generator import DiffusersGenerator, ImageRequest
from stablerep.generation.diffusion.identity import describe_generator
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.generation.image_sets.image_set import ImageSetRequest, make_image_set
from stablerep.storage.digests import DIGESTS_FILE, write_digests


def change_weights(part, change):
    """Returns a damage: the tensors of a part's file are changed in place."""

    def damage(folder):
        (path,) = (folder / part).glob("*.safetensors")
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path, metadata={"format": "pt"})

    return damage


def change_values(file, **values):
    """Returns a damage: values of a JSON file are others."""

    def damage(folder):
        path = folder / file
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return damage


def remove(file):
    return lambda folder: (folder / file).unlink()


def without(name):
    return lambda tensors: tensors.pop(name)


def filled(value, *names):
    """Returns a change of tensors: those whose names end so, or all, are filled with a value."""

    def change(tensors):
        for name in [each for each in tensors if each.endswith(names or "")]:
            tensors[name] = torch.full_like(tensors[name], value)

    return change


def left_over(tensors):
    tensors["foreign.weight"] = torch.zeros(2)


def of_another_shape(tensors):
    tensors["conv_out.bias"] = torch.zeros(5)


def flip_a_byte(folder):
    write_digests(folder)
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)


def cut_the_digests(folder):
    write_digests(folder)
    (folder / DIGESTS_FILE).write_text("half a line")


def take_a_recorded_file(folder):
    write_digests(folder)
    (folder / "text_encoder" / "model.safetensors").rename(folder / "text_encoder" / "other.safetensors")


SCHEDULER = "scheduler/scheduler_config.json"
UNUSABLE = rf"{SCHEDULER}: DPMSolverMultistepScheduler cannot sample with these values"
DAMAGES = {
    "a tensor missing in the UNet": (
        change_weights("unet", without("conv_out.weight")),
        r"unet: not a complete part of a model: its file lacks conv_out\.weight\.",
    ),
    "a tensor missing in the autoencoder": (
        change_weights("vae", without("decoder.conv_in.bias")),
        r"vae: .*its file lacks decoder\.conv_in\.bias",
    ),
    "a tensor missing in the text encoder": (
        change_weights("text_encoder", without("final_layer_norm.weight")),
        r"text_encoder: .*its file lacks .*final_layer_norm\.weight",
    ),
    "a tensor left over": (
        change_weights("text_encoder", left_over),
        r"text_encoder: .*its file has foreign\.weight, which the network does not have",
    ),
    "a tensor of another shape": (
        change_weights("unet", of_another_shape),
        r"unet: .*UNet2DConditionModel cannot be loaded .*conv_out\.bias",
    ),
    "values that are not finite": (
        change_weights("vae", filled(float("nan"), "decoder.conv_in.bias")),
        r"vae: .*decoder\.conv_in\.bias has values that are not finite",
    ),
    "a UNet of zeros": (change_weights("unet", filled(0)), r"unet: .*all its weights are zero"),
    "a UNet whose last layer is zero": (
        change_weights("unet", filled(0, "conv_out.weight", "conv_out.bias")),
        r"the UNet predicts the same value for every pixel",
    ),
    "an autoencoder that decodes one colour": (
        change_weights("vae", filled(0, "decoder.conv_out.weight", "decoder.conv_out.bias")),
        r"every pixel of 4 images has the same value\. It draws in float32 already",
    ),
    "a text encoder that reads nothing": (
        change_weights("text_encoder", filled(0, "embeddings.token_embedding.weight")),
        r"text_encoder: .*it gives 'a red cat' and 'a sad dog' the same embedding",
    ),
    "a tokenizer without its tokens": (
        remove("tokenizer/tokenizer.json"),
        r"tokenizer: .*it gives 'a red cat' and 'a sad dog' the same tokens",
    ),
    "no configuration of the tokenizer": (
        remove("tokenizer/tokenizer_config.json"),
        r"the model is incomplete; tokenizer/tokenizer_config\.json must be there",
    ),
    "a tokenizer of longer captions": (
        change_values("tokenizer/tokenizer_config.json", model_max_length=77),
        r"tokenizer: .*its model_max_length is 77, and the text encoder takes 16 tokens",
    ),
    "no configuration of the sampler": (remove(SCHEDULER), rf"incomplete; {SCHEDULER} must be there"),
    "no configuration of the UNet": (remove("unet/config.json"), r"incomplete; unet/config\.json must be"),
    "an unknown prediction type": (
        change_values(SCHEDULER, prediction_type="foo"),
        rf"{UNUSABLE} \(ValueError: prediction_type given as foo",
    ),
    "a word for a number": (
        change_values(SCHEDULER, beta_start="small"),
        r"scheduler: not a complete part of a model: beta_start is 'small'; must be a number\.",
    ),
    "a truth value for a number": (
        change_values(SCHEDULER, beta_start=True),
        r"scheduler: .*beta_start is True; must be a number\.",
    ),
    "more noise than there is": (
        change_values(SCHEDULER, beta_end=3.0),
        rf"{UNUSABLE} \(its betas \(beta_start [0-9.]+, beta_end 3\.0\) must be in \[0, 1\]",
    ),
    "far more noise than there is": (
        change_values(SCHEDULER, beta_start=5.0, beta_end=7.0),
        rf"{UNUSABLE} \(its betas \(beta_start 5\.0, beta_end 7\.0\) must be in \[0, 1\]",
    ),
    "less noise than none": (
        change_values(SCHEDULER, beta_schedule="linear", beta_start=-0.1, beta_end=-0.2),
        rf"{UNUSABLE} \(its betas \(beta_start -0\.1, beta_end -0\.2\) must be in \[0, 1\]",
    ),
    "no noise": (
        change_values(SCHEDULER, beta_schedule="linear", beta_start=0, beta_end=0),
        rf"{UNUSABLE} \(its betas \(beta_start 0, beta_end 0\) must be in \[0, 1\]",
    ),
    "noise that was listed wrongly": (
        change_values(SCHEDULER, trained_betas=[0.1, 1.5, 0.2] * 300),
        rf"{UNUSABLE} \(its betas \(trained_betas \[0\.1, 1\.5, 0\.2, .*\) must be in \[0, 1\]",
    ),
    "no step of training": (
        change_values(SCHEDULER, num_train_timesteps=0),
        r"scheduler: .*: num_train_timesteps is 0; must be a whole number >= 1\.",
    ),
    "half a step of training": (
        change_values(SCHEDULER, num_train_timesteps=10.5),
        r"scheduler: .*: num_train_timesteps is 10\.5; must be a whole number >= 1\.",
    ),
    "an unknown noise schedule": (
        change_values(SCHEDULER, beta_schedule="foo"),
        r"DPMSolverMultistepScheduler cannot be loaded \(NotImplementedError: foo",
    ),
    "an unknown spacing of steps": (
        change_values(SCHEDULER, timestep_spacing="foo"),
        rf"{UNUSABLE} \(ValueError: foo is not supported",
    ),
    "a part of another library": (
        change_values("model_index.json", unet=["os", "system"]),
        r"model_index\.json: unet is os\.system; must be a class of diffusers or transformers\.",
    ),
    "a part of a folder": (
        change_values("model_index.json", unet=["../pipelines", "UNet"]),
        r"model_index\.json: unet is \.\./pipelines\.UNet; must be a class of",
    ),
    "a part without a name": (
        change_values("model_index.json", unet=[1, 2]),
        r"model_index\.json: unet is 1\.2; must be a class of",
    ),
    "a flipped byte": (
        flip_a_byte,
        r"damaged: unet/diffusion_pytorch_model\.safetensors is not the file that SHA256SUMS records\.",
    ),
    "a file of the digests that is cut off": (
        cut_the_digests,
        r"damaged: SHA256SUMS cannot be read \(line 1",
    ),
    "a recorded file under another name": (
        take_a_recorded_file,
        r"damaged: text_encoder/model\.safetensors is missing",
    ),
}


@pytest.fixture(scope="module")
def finished(tiny_generator, tmp_path_factory):
    """Returns the folder of an image set that the model drew before it was damaged."""
    store = tmp_path_factory.mktemp("finished") / "images"
    draw_set(tiny_generator, store)
    return store


def draw_set(folder, store):
    import pandas as pd

    from stablerep.caption_ids import caption_id_of

    texts = ["a nine", "a blue eight"]
    captions = pd.DataFrame({"caption_id": [caption_id_of(text) for text in texts], "text": texts})
    values = {"guidance_scale": 2.5, "num_inference_steps": 3, "images_per_caption": 2, "size_px": 16}
    settings = GeneratorSettings(**values, batch_size=8, num_shards=1)
    return make_image_set(ImageSetRequest(captions, settings, folder, store, 0))


def files_of(store):
    return {path.relative_to(store): path.read_bytes() for path in store.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_model_is_one_message_and_changes_nothing_of_the_set_that_is_there(
    tiny_generator, finished, tmp_path, name
):
    damage, message = DAMAGES[name]
    folder = shutil.copytree(tiny_generator, tmp_path / "model")
    store = shutil.copytree(finished, tmp_path / "images")
    damage(folder)
    with pytest.raises(GeneratorError, match=message):
        draw_set(folder, store)
    assert files_of(store) == files_of(finished)


def test_the_generator_id_does_not_depend_on_the_digests_beside_the_weights(
    tiny_generator, tmp_path, settings
):
    folder = shutil.copytree(tiny_generator, tmp_path / tiny_generator.name)
    write_digests(folder)
    assert describe_generator(folder, settings()) == describe_generator(tiny_generator, settings())


def test_the_names_of_older_files_are_neither_missing_nor_left_over(tiny_generator, tmp_path, settings):
    """As in Stable Diffusion 1.5's file of the text encoder, which older releases of transformers wrote."""
    folder = shutil.copytree(tiny_generator, tmp_path / "model")

    def of_older_releases(tensors):
        for name in list(tensors):
            tensors[f"text_model.{name}"] = tensors.pop(name)
        tensors["text_model.embeddings.position_ids"] = torch.arange(16)[None]

    change_weights("text_encoder", of_older_releases)(folder)
    older, newer = (DiffusersGenerator(each, settings()) for each in (folder, tiny_generator))
    each = zip(*(model.pipeline.text_encoder.parameters() for model in (older, newer)), strict=True)
    assert all(torch.equal(one, other) for one, other in each)


@pytest.mark.parametrize(
    ("dtype", "advice"),
    [
        ("float16", r"It draws in float16: set generator\.dtype to float32 or bfloat16 in"),
        ("bfloat16", r"It draws in bfloat16: set generator\.dtype to float32 in"),
        ("float32", r"It draws in float32 already: set a lower generator\.guidance_scale"),
    ],
)
def test_another_arithmetic_is_advised_where_it_may_help(tiny_generator, settings, dtype, advice):
    model = DiffusersGenerator(tiny_generator, settings(dtype=dtype))
    pixels = torch.full((2, 3, 16, 16), float("inf"))
    with pytest.raises(GeneratorError, match=f"draws values that are not finite. {advice}"):
        model._check_pixels(pixels, torch.get_rng_state())


@pytest.mark.parametrize(
    ("model", "part", "weight"),
    [
        ("tiny_sdxl", "text_encoder", "token_embedding.weight"),
        ("tiny_sdxl", "text_encoder_2", "token_embedding.weight"),
        ("tiny_sd3", "text_encoder", "token_embedding.weight"),
        ("tiny_sd3", "text_encoder_2", "token_embedding.weight"),
        ("tiny_sd3", "text_encoder", "text_projection.weight"),
    ],
)
def test_one_text_encoder_of_several_that_reads_nothing_is_named(
    request, tmp_path, settings, model, part, weight
):
    folder = shutil.copytree(request.getfixturevalue(model), tmp_path / "model")
    change_weights(part, filled(0, weight))(folder)
    with pytest.raises(GeneratorError, match=rf"{part}: .*it gives 'a red cat' and 'a sad dog' the same"):
        DiffusersGenerator(folder, settings())


def test_a_sampler_that_shifts_its_noise_by_the_size_passes_its_trial_and_draws(tiny_sd3, tmp_path, settings):
    folder = shutil.copytree(tiny_sd3, tmp_path / "model")
    change_values(SCHEDULER, use_dynamic_shifting=True)(folder)
    request = ImageRequest("c-any", "a nine", 0)
    [shifted], [as_shipped] = (
        list(DiffusersGenerator(each, settings()).draw([request], 0)) for each in (folder, tiny_sd3)
    )
    assert shifted.images.shape == (1, 3, 16, 16)
    assert not torch.equal(shifted.images, as_shipped.images)


@pytest.mark.parametrize("name", ["DDIMScheduler", "EulerDiscreteScheduler"])
@pytest.mark.parametrize("schedule", ["linear", "scaled_linear"])
def test_a_sampler_may_end_without_any_of_the_image(tiny_generator, settings, name, schedule):
    """Zero terminal SNR (arXiv:2305.08891): alphas_cumprod ends in 0, or in what diffusers writes there."""
    options = {
        "beta_schedule": schedule,
        "beta_start": 1e-4,
        "beta_end": 0.02,
        "rescale_betas_zero_snr": True,
    }
    model = DiffusersGenerator(
        tiny_generator, settings(scheduler={"_target_": f"diffusers.{name}", **options})
    )
    assert model.scheduler.alphas_cumprod[-1] in (0, 2**-24)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta_start": "much"}, r"beta_start is 'much'; must be a number"),
        ({"num_train_timesteps": 0}, r"num_train_timesteps is 0; must be a whole number >= 1"),
        ({"beta_end": 2.0}, r"its betas \(beta_start [0-9.]+, beta_end 2\.0\) must be in \[0, 1\]"),
    ],
)
def test_bad_values_of_a_sampler_of_the_settings_are_named(tiny_generator, settings, options, message):
    with pytest.raises(GeneratorError, match=rf"DDIMScheduler cannot sample with these values \({message}"):
        DiffusersGenerator(
            tiny_generator, settings(scheduler={"_target_": "diffusers.DDIMScheduler", **options})
        )


def test_bad_values_of_the_settings_are_named_with_those_of_the_folder(tiny_generator, settings):
    with pytest.raises(GeneratorError, match=r"with \{'beta_start': -0.1\} of generator\.scheduler in conf"):
        DiffusersGenerator(tiny_generator, settings(scheduler={"beta_start": -0.1}))
