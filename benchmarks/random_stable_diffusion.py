"""Stable Diffusion 1.5's architecture with random weights: as fast as the real one, no download."""

from pathlib import Path
from typing import Any

import torch

from stablerep.models.tokenizer import build_tokenizer


def save_random_stable_diffusion(folder: Path, dtype: torch.dtype, miniature: bool = False) -> None:
    """Writes a pipeline of 1.07 billion random weights in diffusers' format.

    Args:
        folder: to write it to.
        dtype: of the weights.
        miniature: the same layers, each of a few channels, for tests.
    """
    # on a GPU where there is one: a billion random numbers take a processor ten seconds
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        pipeline = _build(miniature)
    pipeline.to(dtype=dtype).save_pretrained(folder, safe_serialization=True)


def _build(miniature: bool) -> Any:
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    tokenizer: Any = build_tokenizer(["a photograph of a dog"], max_tokens=77)
    torch.manual_seed(0)
    width = 32 if miniature else 768
    # https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5, the config.json of each part
    unet = UNet2DConditionModel(
        sample_size=64,
        cross_attention_dim=width,
        attention_head_dim=8,
        block_out_channels=(32, 32, 32, 32) if miniature else (320, 640, 1280, 1280),
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(32, 32, 32, 32) if miniature else (128, 256, 512, 512),
        layers_per_block=2,
        sample_size=512,
    )
    config = CLIPTextConfig(
        vocab_size=49_408,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=1 if miniature else 12,
        num_attention_heads=4 if miniature else 12,
        max_position_embeddings=77,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(config),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
