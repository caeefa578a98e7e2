"""The pretraining recipe, tiny: resuming equals not stopping, and the result loads in diffusers."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from stablerep.caption_ids import caption_id_of
from stablerep.errors import ConfigError, GeneratorError
from stablerep.generation.pretraining import denoiser, stage
from stablerep.generation.pretraining.architecture import build_noise_scheduler
from stablerep.generation.pretraining.captioned_pixels import NOTHING_TAKEN_DOWN, FixedPixels, TakenDown
from stablerep.generation.pretraining.captions import tabulate_captions
from stablerep.generation.pretraining.denoiser import train_denoiser
from stablerep.generation.pretraining.launch import pretrain_generator
from stablerep.generation.pretraining.order import RECIPE_FILE, order_of, read_order
from stablerep.generation.pretraining.pool import Pool, pixel_pool
from stablerep.generation.pretraining.recipe import PretrainingRecipe, StageRecipe
from stablerep.generation.pretraining.stage import learning_rate_at, run_stage
from stablerep.generation.pretraining.worker import main
from stablerep.models.tokenizer import build_tokenizer
from stablerep.seeding import torch_generator
from stablerep.storage.digests import DIGESTS_FILE, faults_of_files


def loss_of_step(network, step, num, process):
    x = torch.randn(num, 3, generator=torch_generator("test", step, process))
    return (network(x) - x.sum(dim=1, keepdim=True)).square().mean()


def small_model():
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def test_a_resumed_stage_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    recipe = StageRecipe(num_images=80, batch_size=8, warmup_steps=2, ema_decay=0.9, checkpoint_every_s=0.0)
    whole, resumed = small_model(), small_model()
    run_stage("toy", whole, recipe, loss_of_step, tmp_path / "whole")

    def stops(network, step, num, process):
        if step == 6:
            raise KeyboardInterrupt
        return loss_of_step(network, step, num, process)

    with pytest.raises(KeyboardInterrupt):
        run_stage("toy", small_model(), recipe, stops, tmp_path / "parts")
    run_stage("toy", resumed, recipe, loss_of_step, tmp_path / "parts")
    assert torch.equal(whole.weight, resumed.weight)


def test_the_learning_rate_rises_stays_and_falls_to_zero():
    recipe = StageRecipe(num_images=100, batch_size=1, learning_rate=1.0, warmup_steps=10, decay_from=0.5)
    rates = [learning_rate_at(recipe, step, step / recipe.num_steps) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10] == rates[49] == 1.0
    assert rates[75] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0, abs=1e-12)


CAPTIONS = ["A dog's ball, 2 metres off", "two dogs on grass"]


def test_every_word_of_the_texts_is_one_token():
    tokenizer = build_tokenizer(CAPTIONS, max_tokens=16)
    assert tokenizer.tokenize("a dog's ball , 2 dogs on grass") == [
        "a</w>", "dog</w>", "'s</w>", "ball</w>", ",</w>", "2</w>", "dogs</w>", "on</w>", "grass</w>",
    ]  # fmt: skip


def test_captions_are_cut_at_the_longest_length_that_was_asked_for():
    tokenizer = build_tokenizer(CAPTIONS, max_tokens=5)
    ids = tokenizer(CAPTIONS[1], truncation=True).input_ids
    assert len(ids) == 5
    assert tokenizer.decode(ids, skip_special_tokens=True).split() == ["two", "dogs", "on"]


def test_words_of_no_corpus_are_spelled_and_not_lost():
    tokenizer = build_tokenizer(CAPTIONS, max_tokens=16)
    ids = tokenizer("a zebra").input_ids
    assert tokenizer.eos_token_id not in ids[:-1]
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == "a zebra"


CARD = {"_target_": "stablerep.digit_scenes.model_card.GeneratorCard"}
SCENES = {"_target_": "stablerep.digit_scenes.pretraining.SceneStream"}


class Snow:
    """Photographs of snow, 16 pixels a side, as a corpus of its own would give them."""

    def __new__(cls):
        pixels = torch.full((4, 3, 16, 16), 250, dtype=torch.uint8)
        return FixedPixels(pixels, [["snow"], ["fresh snow"], ["a white field"], ["ice"]])


SNOW = {"_target_": f"{__name__}.Snow"}


def tiny_recipe(images=SCENES, **changes):
    short = StageRecipe(num_images=16, batch_size=8, checkpoint_every_s=0.0)
    stages = {"autoencoder": short, "denoiser": short}
    return PretrainingRecipe(images=images, card=CARD, pool_size=32, **{**stages, **changes})


def order(work, recipe, taken_down=NOTHING_TAKEN_DOWN):
    work.mkdir()
    (work / RECIPE_FILE).write_text(json.dumps(order_of(recipe, taken_down)))
    assert read_order(work) == (recipe, taken_down)
    return work


def test_the_result_is_a_stable_diffusion_pipeline_in_float16(tmp_path):
    from diffusers import StableDiffusionPipeline

    work = order(tmp_path / "work", tiny_recipe())
    main(str(work), str(tmp_path / "generator"))
    pipeline = StableDiffusionPipeline.from_pretrained(
        tmp_path / "generator", dtype=torch.float32, local_files_only=True
    )
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    image = pipeline("a nine", num_inference_steps=2, output_type="np").images
    assert image.shape == (1, 32, 32, 3)
    weights = list(Path(tmp_path / "generator").rglob("*.safetensors"))
    assert len(weights) == 3
    assert sum(file.stat().st_size for file in weights) < 16 * 2**20
    assert not list(tmp_path.rglob("*.bin"))
    recorded = {
        line.split("  ")[1] for line in (tmp_path / "generator" / DIGESTS_FILE).read_text().splitlines()
    }
    assert recorded >= {str(file.relative_to(tmp_path / "generator")) for file in weights}
    assert "model_index.json" in recorded and not faults_of_files(tmp_path / "generator")
    assert set(json.loads((work / "seconds.json").read_text())) == {"autoencoder_s", "denoiser_s"}


@pytest.mark.parametrize("space", ["latent", "pixel"])
def test_photographs_of_another_size_make_a_generator_of_that_size(tmp_path, space):
    from diffusers import StableDiffusionPipeline

    work = order(tmp_path / "work", tiny_recipe(SNOW, space=space))
    main(str(work), str(tmp_path / "generator"))
    pipeline = StableDiffusionPipeline.from_pretrained(
        tmp_path / "generator", dtype=torch.float32, local_files_only=True
    )
    assert pipeline("fresh snow", num_inference_steps=2, output_type="np").images.shape == (1, 16, 16, 3)


def test_a_work_folder_of_another_recipe_is_refused_and_left_alone(tmp_path):
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(GeneratorError, match="another recipe"):
        pretrain_generator(tiny_recipe(), tmp_path, tmp_path / "generator")
    assert (tmp_path / "recipe.json").read_text() == "{}"


def test_a_caption_dropout_above_one_is_an_error():
    with pytest.raises(ConfigError, match=r"pretraining\.caption_dropout: got 1\.5"):
        tiny_recipe().changed(caption_dropout=1.5)


def test_a_recipe_of_other_takedowns_is_refused(tmp_path):
    work = order(tmp_path / "work", tiny_recipe(SNOW))
    gone = TakenDown(captions=frozenset({caption_id_of("snow")}))
    with pytest.raises(GeneratorError, match="other takedowns"):
        pretrain_generator(tiny_recipe(SNOW), work, tmp_path / "generator", gone)


def test_a_stage_ends_when_its_time_is_over_and_its_rate_has_fallen_by_then(tmp_path, monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(stage.time, "monotonic", lambda: float(next(clock)))
    recipe = StageRecipe(num_images=8_000, batch_size=8, warmup_steps=0, max_seconds=60.0, decay_from=0.0)
    rates, steps = [], []
    original = stage.learning_rate_at
    monkeypatch.setattr(stage, "learning_rate_at", lambda *a: rates.append(original(*a)) or rates[-1])

    def counts(network, step, num, process):
        steps.append(step)
        return loss_of_step(network, step, num, process)

    seconds = run_stage("toy", small_model(), recipe, counts, tmp_path)
    assert 10 < len(steps) < 60
    assert seconds >= 60
    assert rates == sorted(rates, reverse=True) and rates[-1] < 0.02 * recipe.learning_rate < rates[0]
    again = len(steps)
    assert run_stage("toy", small_model(), recipe, counts, tmp_path) >= 60
    assert len(steps) == again, "a stage that is over is not continued"


def test_a_stage_in_bfloat16_keeps_its_weights_in_float32(tmp_path):
    recipe = StageRecipe(num_images=80, batch_size=8, warmup_steps=2, precision="bfloat16")
    dtypes = set()

    def sees(network, step, num, process):
        x = torch.randn(num, 3, generator=torch_generator("test", step, process))
        dtypes.add(network(x).dtype)
        return network(x).float().square().mean()

    model = small_model()
    run_stage("toy", model, recipe, sees, tmp_path)
    assert dtypes == {torch.bfloat16} and model.weight.dtype == torch.float32


def test_each_image_is_trained_with_a_caption_of_its_own(tmp_path, monkeypatch):
    names = ["two", "dogs", "on", "grass"]
    images = FixedPixels(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), [[name] for name in names])
    values = torch.arange(4.0).view(4, 1, 1, 1).repeat(1, 4, 8, 8)
    pool = Pool(values, torch.arange(4)[:, None], scaling=1.0)
    tokenizer = build_tokenizer(names, max_tokens=4)
    captions = tabulate_captions(images, pool.keys, tokenizer, 1, 0, torch.device("cpu"))
    scheduler, clean, token_ids = build_noise_scheduler(), [], []
    add_noise, forward = scheduler.add_noise, denoiser.Denoiser.forward

    def watched_noise(x, *rest):
        clean.extend(x[:, 0, 0, 0].tolist())
        return add_noise(x, *rest)

    def watched_forward(self, noisy, timesteps, ids):
        token_ids.extend(ids.tolist())
        return forward(self, noisy, timesteps, ids)

    monkeypatch.setattr(scheduler, "add_noise", watched_noise)
    monkeypatch.setattr(denoiser, "build_noise_scheduler", lambda: scheduler)
    monkeypatch.setattr(denoiser.Denoiser, "forward", watched_forward)
    train_denoiser(tiny_recipe(caption_dropout=0.0), pool, captions, tokenizer, tmp_path)
    texts = [tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in token_ids]
    assert len(set(texts)) > 2
    assert texts == [names[int(value)] for value in clean]


def test_pixels_and_latents_are_brought_to_unit_deviation(tmp_path):
    pixels = torch.randint(0, 256, (64, 3, 16, 16), dtype=torch.uint8)
    images = FixedPixels(pixels, [["noise"]] * 64)
    pool = pixel_pool(tiny_recipe(), images, torch.device("cpu"))
    assert torch.equal(pool.values, pixels)
    drawn = pool.at(torch.arange(64))
    assert drawn.std().item() == pytest.approx(1, rel=0.01)
    assert torch.allclose(drawn / pool.scaling, pixels.float() / 127.5 - 1)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"unet": {"attention": [True]}},
            r"pretraining\.unet\.attention: got \[True\]; .*each of the 2 levels",
        ),
        (
            {"unet": {"channels": [64, 24], "num_heads": 16}},
            r"pretraining\.unet\.num_heads: got 16; must divide",
        ),
        ({"unet": {"channels": [64, 12]}}, r"pretraining\.unet\.channels\[1\]: got 12"),
        (
            {"text": {"width": 100, "num_heads": 8}},
            r"pretraining\.text\.num_heads: got 8; must divide width, 100",
        ),
        ({"space": "sound"}, r"pretraining\.space: got 'sound'"),
        ({"name": "scorer"}, r"pretraining\.name: got 'scorer'; must be generator, or"),
        ({"name": "../generator"}, r"pretraining\.name: got '\.\./generator'"),
    ],
)
def test_networks_that_cannot_be_built_are_refused(changes, fault):
    with pytest.raises(ConfigError, match=fault):
        PretrainingRecipe.read(tiny_recipe().model_dump() | changes)


def test_the_sides_that_fit_follow_from_the_levels_of_the_networks():
    assert tiny_recipe().size_step_px == 8
    assert tiny_recipe(space="pixel").size_step_px == 2
