"""The pretraining recipe, tiny: resuming equals not stopping, and the result loads in diffusers."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from stablerep.errors import ConfigError, GeneratorError
from stablerep.generation.pretraining import denoiser
from stablerep.generation.pretraining.architecture import build_noise_scheduler
from stablerep.generation.pretraining.captioned_pixels import FixedPixels
from stablerep.generation.pretraining.denoiser import train_denoiser
from stablerep.generation.pretraining.launch import pretrain_generator
from stablerep.generation.pretraining.recipe import PretrainingRecipe, StageRecipe
from stablerep.generation.pretraining.stage import learning_rate_at, run_stage
from stablerep.generation.pretraining.worker import main, read_recipe
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
    rates = [learning_rate_at(recipe, step) for step in range(101)]
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


def tiny_recipe(images=SCENES):
    stage = StageRecipe(num_images=16, batch_size=8, checkpoint_every_s=0.0)
    return PretrainingRecipe(images=images, card=CARD, pool_size=32, autoencoder=stage, denoiser=stage)


def test_the_result_is_a_stable_diffusion_pipeline_in_float16(tmp_path):
    from diffusers import StableDiffusionPipeline

    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(tiny_recipe().model_dump()))
    assert read_recipe(path) == tiny_recipe()
    work = tmp_path / "work"
    work.mkdir()
    main(str(path), str(work), str(tmp_path / "generator"))
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


def test_photographs_of_another_size_make_a_generator_of_that_size(tmp_path):
    from diffusers import StableDiffusionPipeline

    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(tiny_recipe({"_target_": f"{__name__}.Snow"}).model_dump()))
    main(str(path), str(tmp_path), str(tmp_path / "generator"))
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


def test_each_latent_is_trained_with_a_caption_of_its_own(tmp_path, monkeypatch):
    names = ["two", "dogs", "on", "grass"]
    images = FixedPixels(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), [[name] for name in names])
    pool = {
        "latents": torch.arange(4.0).view(4, 1, 1, 1).repeat(1, 4, 8, 8),
        "keys": torch.arange(4)[:, None],
    }
    scheduler, latents, texts = build_noise_scheduler(), [], []
    add_noise, tokenize = scheduler.add_noise, denoiser.tokenize
    monkeypatch.setattr(
        scheduler,
        "add_noise",
        lambda x, *rest: (latents.extend(x[:, 0, 0, 0].tolist()), add_noise(x, *rest))[1],
    )
    monkeypatch.setattr(denoiser, "build_noise_scheduler", lambda: scheduler)
    monkeypatch.setattr(denoiser, "tokenize", lambda *given: (texts.extend(given[1]), tokenize(*given))[1])
    recipe = tiny_recipe().changed(caption_dropout=0.0)
    train_denoiser(recipe, images, pool, 1.0, build_tokenizer(names, max_tokens=4), tmp_path)
    assert len(set(texts)) > 2
    assert texts == [names[int(value)] for value in latents]
