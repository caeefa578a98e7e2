"""Miniatures of Stable Diffusion with random weights, small enough to draw in milliseconds."""

import copy
from pathlib import Path

import pandas as pd
import pytest
import torch

from stablerep.generation.settings import GenerationSettings
from stablerep.records import caption_id_of

TEXT_WIDTH = 16

# scheduler/scheduler_config.json of Stable Diffusion 1.5, but for the class and version
STABLE_DIFFUSION_1_5_NOISE = {
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}


def build_miniature(folder: Path, scheduler) -> Path:
    """Writes a StableDiffusionPipeline whose parts have a few thousand weights."""
    from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from stablerep.generation.pretraining.architecture import MAX_TOKENS, build_tokenizer

    tokenizer = build_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        autoencoder = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            block_out_channels=(8, 8, 8),
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=4,
            sample_size=16,
            mid_block_add_attention=False,
        )
        unet = UNet2DConditionModel(
            sample_size=4,
            layers_per_block=1,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=TEXT_WIDTH,
            attention_head_dim=2,
            norm_num_groups=4,
        )
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=TEXT_WIDTH,
                intermediate_size=32,
                projection_dim=TEXT_WIDTH,
                num_hidden_layers=1,
                num_attention_heads=2,
                max_position_embeddings=MAX_TOKENS,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        # as initialised, captions would hardly change an image
        for weights in text_encoder.parameters():
            weights.data.mul_(4)
    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def tiny_generator(tmp_path_factory):
    """Returns a folder like the embedded generator's: v-prediction, DPM-Solver++."""
    from diffusers import DPMSolverMultistepScheduler

    from stablerep.generation.pretraining.architecture import build_noise_scheduler

    scheduler = DPMSolverMultistepScheduler.from_config(
        build_noise_scheduler().config, algorithm_type="dpmsolver++", timestep_spacing="trailing"
    )
    return build_miniature(tmp_path_factory.mktemp("models") / "tiny", scheduler)


@pytest.fixture(scope="session")
def tiny_stable_diffusion(tmp_path_factory):
    """Returns a folder like Stable Diffusion 1.5's: prediction of the noise, PNDM."""
    from diffusers import PNDMScheduler

    scheduler = PNDMScheduler(**copy.deepcopy(STABLE_DIFFUSION_1_5_NOISE))
    return build_miniature(tmp_path_factory.mktemp("models") / "tiny_sd", scheduler)


@pytest.fixture
def settings():
    """Returns a function that makes small settings, any of them changed."""

    def make(**changes) -> GenerationSettings:
        values = {
            "guidance_scale": 2.5,
            "num_inference_steps": 3,
            "images_per_caption": 2,
            "size_px": 16,
            "batch_size": 8,
            "num_shards": 3,
        }
        return GenerationSettings(**(values | changes))

    return make


@pytest.fixture
def texts():
    """Returns captions of the corpus, all different."""
    return [
        "a teal handwritten seven on a striped orange background",
        "a nine",
        "a red two",
        "a three",
        "a handwritten five",
        "a four on a checkered background",
    ]


@pytest.fixture
def captions_of():
    """Returns a function that makes a caption set of texts."""

    def make(texts) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "caption_id": [caption_id_of(text) for text in texts],
                "text": list(texts),
                "source": "test",
                "licence": "CC0-1.0",
                "line": range(2, len(texts) + 2),
            }
        )

    return make
