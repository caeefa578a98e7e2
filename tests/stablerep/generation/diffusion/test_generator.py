"""The sampling loop: the same image however it was asked for, and the image that diffusers would draw."""

import shutil

import pytest
import torch

from stablerep.caption_ids import caption_id_of
from stablerep.errors import ConfigError, GeneratorError
from stablerep.generation.diffusion.generator import (
    MAX_BATCH_SIZE,
    DiffusersGenerator,
    ImageRequest,
    batch_size_that_fits,
    image_noise_seed,
)
from stablerep.generation.diffusion.identity import read_model_index
from stablerep.generation.diffusion.noise import image_generator

# networks round differently by batch size: at most one level, in few pixels; measured 2e-5 of the
# values of 64 images of the embedded generator's architecture (one CPU thread, batches of 1 and 7 against 64)
MAX_LEVELS = 1
# of 768 values of a miniature's image, one or two may fall so
MAX_SHARE = 3e-3
# XL's miniature with DDIM, whose first step divides by a small number: 1.5e-2 at most in one image
MAX_SHARE_XL = 3e-2


def requests_of(texts, num=2):
    return [ImageRequest(caption_id_of(t), t, index) for t in texts for index in range(num)]


def draw(generator, requests, seed=0):
    """Returns {(caption id, index): image}."""
    images = torch.cat([drawn.images for drawn in generator.draw(requests, seed)])
    return {(r.caption_id, r.index): image for r, image in zip(requests, images, strict=True)}


def assert_alike(one, other, max_share=MAX_SHARE):
    difference = (one.int() - other.int()).abs()
    assert difference.max() <= MAX_LEVELS
    assert (difference > 0).float().mean() <= max_share


@pytest.fixture(scope="module")
def generator(tiny_generator):
    from stablerep.generation.diffusion.settings import GeneratorSettings

    return DiffusersGenerator(
        tiny_generator,
        GeneratorSettings(
            guidance_scale=2.5, num_inference_steps=3, images_per_caption=2, size_px=16, batch_size=8
        ),
    )


def test_images_are_uint8_of_the_size_asked_for_in_batches(generator, texts):
    batches = [drawn.images for drawn in generator.draw(requests_of(texts), 0)]
    assert [len(batch) for batch in batches] == [6, 6]  # 12 in batches of 8 at most: two even ones
    assert all(batch.shape[1:] == (3, 16, 16) and batch.dtype == torch.uint8 for batch in batches)


def test_the_same_seed_gives_the_same_image(generator, texts):
    once, again = (draw(generator, requests_of(texts)) for _ in range(2))
    assert all(torch.equal(once[key], again[key]) for key in once)


def test_seed_caption_and_index_each_give_another_image(generator, texts):
    images = draw(generator, requests_of(texts))
    other_seed = draw(generator, requests_of(texts), seed=1)
    distinct = {image.numpy().tobytes() for image in (*images.values(), *other_seed.values())}
    assert len(distinct) == 2 * len(images)


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_batch_size_and_order_leave_an_image_alone(tiny_generator, settings, generator, texts, batch_size):
    other = DiffusersGenerator(tiny_generator, settings(batch_size=batch_size))
    one = draw(generator, requests_of(texts))
    permuted = draw(other, requests_of(texts)[::-1])
    for key, image in one.items():
        assert_alike(image, permuted[key])


def test_the_noise_is_bit_equal_in_any_batch(generator):
    def noise(keys):
        generators = [image_generator("philox", image_noise_seed(0, *key)) for key in keys]
        return generator.sampler.initial_noise(generators)

    keys = [("c-a", 0), ("c-a", 1), ("c-b", 0)]
    together = noise(keys)
    for position, key in enumerate(keys):
        assert torch.equal(together[position], noise([key])[0])
    assert len({row.numpy().tobytes() for row in together}) == 3


def test_another_caption_list_leaves_the_shared_captions_alone(generator, texts):
    before = draw(generator, requests_of(texts))
    after = draw(generator, requests_of(["a blue eight", *texts[2:]]))
    for key in set(before) & set(after):
        assert_alike(before[key], after[key])


def count_unet_rows(generator, monkeypatch):
    rows = []
    forward = generator.pipeline.unet.forward

    def counted(sample, *args, **kwargs):
        rows.append(len(sample))
        return forward(sample, *args, **kwargs)

    monkeypatch.setattr(generator.pipeline.unet, "forward", counted)
    return rows


def test_guidance_takes_both_halves_in_one_pass(generator, texts, monkeypatch):
    rows = count_unet_rows(generator, monkeypatch)
    draw(generator, requests_of(texts[:2]))
    assert rows == [8] * 3  # 4 images, doubled, 3 steps


@pytest.mark.parametrize("guidance_scale", [0.0, 1.0])
def test_no_second_half_is_drawn_without_guidance(
    tiny_generator, settings, texts, monkeypatch, guidance_scale
):
    plain = DiffusersGenerator(tiny_generator, settings(guidance_scale=guidance_scale))
    rows = count_unet_rows(plain, monkeypatch)
    draw(plain, requests_of(texts[:2]))
    assert rows == [4] * 3


def test_each_caption_is_encoded_once_and_the_empty_one_once(generator, texts, monkeypatch):
    monkeypatch.setattr(generator.sampler, "_empty", {})
    encoded = []
    encode = generator.pipeline.encode_prompt

    def counted(prompt, **options):
        encoded.extend(prompt)
        return encode(prompt=prompt, **options)

    monkeypatch.setattr(generator.pipeline, "encode_prompt", counted)
    draw(generator, requests_of(texts, num=5))
    draw(generator, requests_of(texts[:1]))
    assert encoded == ["", *texts, texts[0]]


SAMPLERS = [
    ("DPMSolverMultistepScheduler", {}),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    ("DDIMScheduler", {}),
    ("PNDMScheduler", {"skip_prk_steps": True}),
    ("EulerDiscreteScheduler", {}),
    ("EulerAncestralDiscreteScheduler", {}),
    ("DDPMScheduler", {}),
    ("LCMScheduler", {}),
]


def assert_as_diffusers_draws(folder, chosen, max_share=MAX_SHARE, **call):
    """Compares all images drawn at once here with diffusers' own call, one image at a time.

    With torch's noise, which diffusers draws without a line of ours.
    """
    import diffusers

    chosen = chosen.changed(noise="torch")

    requests = requests_of(["a nine", "a blue eight"])
    images = draw(DiffusersGenerator(folder, chosen), requests)
    left_out = {part: None for part, (library, _) in read_model_index(folder).items() if library is None}
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, **left_out)
    pipeline.set_progress_bar_config(disable=True)
    scheduler = chosen.scheduler_class or type(pipeline.scheduler)
    pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config, **chosen.scheduler_options)
    for wanted in requests:
        noise = torch.Generator().manual_seed(image_noise_seed(0, wanted.caption_id, wanted.index))
        pixels = pipeline(
            wanted.text,
            height=16,
            width=16,
            guidance_scale=chosen.guidance_scale,
            num_inference_steps=chosen.num_inference_steps,
            generator=noise,
            output_type="pt",
            **call,
        ).images[0]
        theirs = (pixels * 255).round().to(torch.uint8)
        assert_alike(images[wanted.caption_id, wanted.index], theirs, max_share)


TURBO = {"guidance_scale": 0.0, "scheduler": {"timestep_spacing": "trailing"}}


@pytest.mark.parametrize("folder_name", ["tiny_generator", "tiny_stable_diffusion", "tiny_sdxl"])
@pytest.mark.parametrize(("name", "options"), SAMPLERS)
def test_images_are_those_of_diffusers_own_call(folder_name, name, options, settings, request):
    chosen = settings(
        scheduler={"_target_": f"diffusers.{name}", **options},
        num_inference_steps=4,
        negative_prompt="a red two",
    )
    max_share = MAX_SHARE_XL if folder_name == "tiny_sdxl" else MAX_SHARE
    folder = request.getfixturevalue(folder_name)
    assert_as_diffusers_draws(folder, chosen, max_share, negative_prompt="a red two")


@pytest.mark.parametrize(
    ("folder_name", "changes"),
    [
        ("tiny_lcm", {"guidance_scale": 8.0}),
        ("tiny_lcm", {"guidance_scale": 1.0}),
        ("tiny_sdxl", TURBO | {"num_inference_steps": 1}),
        ("tiny_sdxl", TURBO | {"num_inference_steps": 4}),
        ("tiny_sdxl", {"guidance_scale": 5.0}),  # the empty caption is zeros there
    ],
)
def test_distilled_and_larger_models_draw_what_diffusers_own_call_draws(
    folder_name, changes, settings, request
):
    assert_as_diffusers_draws(request.getfixturevalue(folder_name), settings(**changes))


def test_guidance_that_ends_early_draws_what_diffusers_draws_with_it_switched_off(tiny_sdxl, settings):
    """diffusers' way: https://huggingface.co/docs/diffusers/using-diffusers/callback, dynamic guidance."""

    def switch_off(pipeline, step, timestep, tensors):
        if step == 1:  # after the second of four steps
            tensors = {name: rows.chunk(2)[-1] for name, rows in tensors.items()}
            pipeline._guidance_scale = 0.0
        return tensors if step == 1 else {}

    assert_as_diffusers_draws(
        tiny_sdxl,
        settings(guidance_interval=(0.0, 0.5), num_inference_steps=4),
        callback_on_step_end=switch_off,
        callback_on_step_end_tensor_inputs=["prompt_embeds", "add_text_embeds", "add_time_ids"],
    )


@pytest.mark.parametrize(
    ("interval", "expected"),
    [((0.0, 1.0), [8, 8, 8, 8]), ((0.0, 0.5), [8, 8, 4, 4]), ((0.25, 0.75), [4, 8, 8, 4])],
)
def test_no_second_half_is_drawn_outside_the_interval(
    tiny_generator, settings, texts, monkeypatch, interval, expected
):
    limited = DiffusersGenerator(tiny_generator, settings(guidance_interval=interval, num_inference_steps=4))
    rows = count_unet_rows(limited, monkeypatch)
    draw(limited, requests_of(texts[:2]))
    assert rows == expected


def test_a_model_that_is_told_the_scale_draws_no_second_half(tiny_lcm, settings, texts, monkeypatch):
    model = DiffusersGenerator(tiny_lcm, settings())
    rows = count_unet_rows(model, monkeypatch)
    draw(model, requests_of(texts[:2]))
    assert rows == [4] * 3


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"guidance_scale": 0.5}, r"generator\.guidance_scale: got 0.5; must be >= 1 for tiny_lcm"),
        ({"negative_prompt": "a two"}, r"generator\.negative_prompt: got 'a two'; must be '' for"),
        ({"guidance_interval": (0.0, 0.5)}, r"generator\.guidance_interval: got \(0.0, 0.5\); must be"),
        ({"num_inference_steps": 60}, r"generator\.num_inference_steps: got 60; LCMScheduler takes other"),
    ],
)
def test_a_setting_that_a_consistency_model_cannot_use_is_refused(tiny_lcm, settings, changes, told):
    with pytest.raises(ConfigError, match=told):
        DiffusersGenerator(tiny_lcm, settings(**changes))


def test_a_sampler_without_its_own_generator_is_refused(tiny_generator, settings, texts, monkeypatch):
    import diffusers

    class CarelessScheduler(diffusers.DDIMScheduler):
        def step(self, model_output, timestep, sample, return_dict=True):
            noise = torch.randn(sample.shape)
            return super().step(model_output, timestep, sample + noise, return_dict=return_dict)

    monkeypatch.setattr(diffusers, "CarelessScheduler", CarelessScheduler, raising=False)
    chosen = settings(scheduler={"_target_": "diffusers.CarelessScheduler"})
    careless = DiffusersGenerator(tiny_generator, chosen)
    with pytest.raises(GeneratorError, match="draws from the global random state"):
        draw(careless, requests_of(texts))


def test_a_setting_that_the_sampler_lacks_is_refused(tiny_generator, settings):
    chosen = settings(scheduler={"_target_": "diffusers.DDIMScheduler", "algorithm_type": "dpmsolver++"})
    with pytest.raises(ConfigError, match="DDIMScheduler has no setting algorithm_type; it has beta_end"):
        DiffusersGenerator(tiny_generator, chosen)


def test_a_caption_that_is_too_long_is_drawn_from_its_first_words(generator):
    words = "a teal handwritten seven on a striped orange background and a red two and a nine"
    assert generator.truncated(["a nine", words]) == [False, True]
    longer = words + " and a three"
    first, second = generator.sampler.encode([words, longer], 8)["encoder_hidden_states"]
    assert torch.equal(first, second)


def test_images_can_be_stored_smaller_than_drawn(tiny_generator, settings, texts):
    small = DiffusersGenerator(tiny_generator, settings(saved_size_px=8))
    (drawn,) = small.draw(requests_of(texts[:1]), 0)
    assert drawn.images.shape == (2, 3, 8, 8)


def test_a_size_that_does_not_fit_the_autoencoder_names_the_factor(tiny_generator, settings):
    with pytest.raises(ConfigError, match=r"generator\.size_px: got 18; must be a multiple of 4"):
        DiffusersGenerator(tiny_generator, settings(size_px=18))


def test_values_that_are_not_finite_are_no_image(tiny_generator, settings, texts):
    broken = DiffusersGenerator(tiny_generator, settings())
    broken.pipeline.unet.conv_out.bias.data.fill_(float("nan"))
    with pytest.raises(GeneratorError, match="not finite. It draws in float32 already"):
        draw(broken, requests_of(texts[:1]))


def test_a_missing_folder_says_where_it_looked_and_what_to_do(tmp_path, settings):
    restored = r"nowhere: no such folder.*git checkout -- data/06_models/generator.*make generator"
    with pytest.raises(GeneratorError, match=restored):
        DiffusersGenerator(tmp_path / "nowhere", settings())
    told = rf"{tmp_path}/nowhere: no such folder.*`hf download them/theirs --local-dir {tmp_path}/nowhere`"
    with pytest.raises(GeneratorError, match=told):
        DiffusersGenerator(tmp_path / "nowhere", settings(repository="them/theirs"))


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "model_index.json"])
def test_a_missing_part_is_named(tiny_generator, tmp_path, settings, part):
    folder = tmp_path / "model"
    shutil.copytree(tiny_generator, folder)
    target = folder / part
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink()
    with pytest.raises(GeneratorError, match=part):
        DiffusersGenerator(folder, settings())


def test_captions_longer_than_either_text_encoder_takes_are_told(tiny_sdxl, settings):
    model = DiffusersGenerator(tiny_sdxl, settings())
    model.pipeline.tokenizer_2.model_max_length = 5
    assert model.truncated(["a nine", "a red two on paper"]) == [False, True]


@pytest.mark.parametrize(
    "file", ["unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors", "unet/config.json"]
)
def test_a_half_downloaded_file_is_no_traceback_of_diffusers(tiny_generator, tmp_path, settings, file):
    folder = tmp_path / "model"
    shutil.copytree(tiny_generator, folder)
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(data[: len(data) // 2])
    with pytest.raises(GeneratorError, match=rf"incomplete download: {file}|cannot be loaded.*{file}"):
        DiffusersGenerator(folder, settings())


def test_weights_without_safetensors_are_refused(tiny_generator, tmp_path, settings):
    folder = tmp_path / "model"
    shutil.copytree(tiny_generator, folder)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(GeneratorError, match=r"unet/\*\.safetensors must be there"):
        DiffusersGenerator(folder, settings())


def test_the_safety_checker_says_what_it_says_in_diffusers(tiny_stable_diffusion, settings):
    from diffusers import StableDiffusionPipeline

    model = DiffusersGenerator(
        tiny_stable_diffusion, settings(safety_checker=True, saved_size_px=8, noise="torch")
    )
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_stable_diffusion)
    pipeline.set_progress_bar_config(disable=True)
    requests = requests_of(["a nine", "a blue eight"])
    (drawn,) = model.draw(requests, 0)
    assert not any(drawn.unsafe)
    seen = DiffusersGenerator(tiny_stable_diffusion, settings(noise="torch")).draw(requests, 0)
    pixels = pipeline.feature_extractor(list(next(seen).images), return_tensors="pt").pixel_values
    with torch.inference_mode():
        checker = pipeline.safety_checker
        embedded = checker.visual_projection(checker.vision_model(pixels)[1])
        scores = torch.cosine_similarity(embedded, checker.concept_embeds[:1]).sort().values
    for each in (model.pipeline.safety_checker, checker):
        # a bound that two of the four images pass
        each.concept_embeds_weights.data.fill_(float(scores[1:3].mean()))
    (drawn,) = model.draw(requests, 0)
    theirs = []
    for wanted in requests:
        noise = image_generator("torch", image_noise_seed(0, wanted.caption_id, wanted.index))
        made = pipeline(
            wanted.text, height=16, width=16, guidance_scale=2.5, num_inference_steps=3, generator=noise
        )
        theirs += made.nsfw_content_detected
    assert drawn.unsafe == theirs
    assert any(theirs) and not all(theirs)


def test_a_safety_checker_that_is_not_there_is_an_error_that_says_what_to_do(tiny_generator, settings):
    told = r"safety_checker is on and the model has none.*set generator\.safety_checker=false"
    with pytest.raises(GeneratorError, match=told):
        DiffusersGenerator(tiny_generator, settings(safety_checker=True))


def test_a_safety_checker_without_its_weights_is_named(tiny_stable_diffusion, tmp_path, settings):
    folder = tmp_path / "model"
    shutil.copytree(tiny_stable_diffusion, folder)
    shutil.rmtree(folder / "safety_checker")
    DiffusersGenerator(folder, settings())
    with pytest.raises(GeneratorError, match=r"incomplete; safety_checker/ must be there"):
        DiffusersGenerator(folder, settings(safety_checker=True))


def test_memory_that_runs_out_halves_the_batch_and_changes_no_image(
    tiny_generator, settings, generator, texts, monkeypatch, caplog
):
    model = DiffusersGenerator(tiny_generator, settings())
    sample = model.sampler.draw

    def limited(encoded, chosen, generators, on_step):
        if len(generators) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return sample(encoded, chosen, generators)

    monkeypatch.setattr(model.sampler, "draw", limited)
    sizes = [len(drawn.images) for drawn in model.draw(requests_of(texts), 0)]
    assert sizes == [3, 3, 3, 3]
    assert "out of memory with 6 images at once; going on with 3" in caplog.text
    before, after = draw(generator, requests_of(texts)), draw(model, requests_of(texts))
    for key, image in before.items():
        assert_alike(image, after[key])


def test_memory_that_runs_out_midway_repeats_and_skips_no_image(tiny_generator, settings, texts, monkeypatch):
    model = DiffusersGenerator(tiny_generator, settings())
    expected = draw(model, requests_of(texts))
    sample, calls = model.sampler.draw, []

    def once(encoded, chosen, generators, on_step):
        calls.append(len(generators))
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return sample(encoded, chosen, generators)

    monkeypatch.setattr(model.sampler, "draw", once)
    images = draw(model, requests_of(texts))
    assert calls == [6, 6, 3, 3]
    for key, image in expected.items():
        assert_alike(image, images[key])


def test_memory_that_does_not_hold_one_image_says_what_to_do(tiny_generator, settings, texts, monkeypatch):
    model = DiffusersGenerator(tiny_generator, settings())

    def never(encoded, chosen, generators, on_step):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(model.sampler, "draw", never)
    told = r"does not hold one image of 16 px in float32 \(CUDA out.*Set generator\.dtype to bfloat16"
    with pytest.raises(GeneratorError, match=told):
        draw(model, requests_of(texts))


def test_the_batch_size_follows_from_the_free_memory():
    assert batch_size_that_fits(free_bytes=100, bytes_per_image=10) == 8
    assert batch_size_that_fits(free_bytes=100, bytes_per_image=9) == 8
    assert batch_size_that_fits(free_bytes=100, bytes_per_image=1000) == 1
    assert batch_size_that_fits(free_bytes=1e12, bytes_per_image=1) == MAX_BATCH_SIZE


def test_without_a_gpu_the_batch_size_follows_from_the_pixels(tiny_generator, settings, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for size_px, expected in ((16, 256), (32, 64), (512, 1)):
        model = DiffusersGenerator(tiny_generator, settings(batch_size=None, size_px=size_px))
        assert model.batch_size == expected


@pytest.mark.gpu
def test_a_gpu_finds_its_batch_size(tiny_generator, settings, texts):
    model = DiffusersGenerator(tiny_generator, settings(batch_size=None))
    assert model.batch_size == MAX_BATCH_SIZE
    assert len(draw(model, requests_of(texts))) == 12


def test_a_diffusion_transformer_draws_what_diffusers_own_call_draws(tiny_sd3, settings):
    for scale in (1.0, 2.5):
        assert_as_diffusers_draws(tiny_sd3, settings(guidance_scale=scale), negative_prompt="")


@pytest.mark.parametrize("folder_name", ["tiny_sd3", "tiny_generator"])
def test_the_steps_of_each_batch_are_told_and_change_no_image(folder_name, settings, texts, request):
    model = DiffusersGenerator(request.getfixturevalue(folder_name), settings(batch_size=4))
    requests, told = requests_of(texts[:3]), []
    expected = torch.cat([batch.images for batch in model.draw(requests, 0)])
    drawn = model.draw(requests, 0, lambda *step: told.append(step))
    assert torch.equal(torch.cat([batch.images for batch in drawn]), expected)
    assert told == [(step, 3, 3) for step in (1, 2, 3)] * 2


def test_a_setting_that_a_diffusion_transformer_cannot_use_is_refused(tiny_sd3, settings):
    with pytest.raises(ConfigError, match=r"guidance_interval: got \(0.0, 0.5\); must be \(0.0, 1.0\) for"):
        DiffusersGenerator(tiny_sd3, settings(guidance_interval=(0.0, 0.5)))


def test_a_size_that_a_diffusion_transformer_cannot_draw_is_told(tiny_sd3, settings, texts):
    model = DiffusersGenerator(tiny_sd3, settings(size_px=18))
    with pytest.raises(GeneratorError, match=r"StableDiffusion3Pipeline refuses: .*divisible by 8"):
        draw(model, requests_of(texts[:1]))


def test_a_model_that_wants_more_than_a_caption_is_refused(tiny_stable_diffusion, tmp_path, settings):
    from diffusers import StableDiffusionImg2ImgPipeline, UNet2DConditionModel

    pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(tiny_stable_diffusion)
    pipeline.register_modules(unet=UNet2DConditionModel.from_config(pipeline.unet.config, in_channels=9))
    pipeline.save_pretrained(tmp_path / "inpainting")
    with pytest.raises(GeneratorError, match="got a StableDiffusionImg2ImgPipeline; must be a text-to-image"):
        DiffusersGenerator(tmp_path / "inpainting", settings())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile wants a C++ compiler on a CPU")
def test_a_compiled_network_draws_the_images_of_one_that_is_not(tiny_generator, settings):
    requests = [ImageRequest("c-a", "a nine", index) for index in range(3)]
    plain, compiled = (
        next(DiffusersGenerator(tiny_generator, settings(compile=each)).draw(requests, 0)).images
        for each in (False, True)
    )
    levels = (plain.int() - compiled.int()).abs()
    assert levels.max() <= 1 and (levels > 0).float().mean() < 1e-3


def test_compiling_is_asked_of_the_denoising_network(tiny_generator, settings, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(type(self).__name__))
    DiffusersGenerator(tiny_generator, settings(compile=True))
    assert compiled == ["UNet2DConditionModel"]
