"""The embedded generator's networks, in the classes of diffusers and transformers."""

from typing import Any

import torch
from torch import Tensor, nn

TEXT_WIDTH = 128


def build_autoencoder(size_px: int) -> Any:
    """Builds the autoencoder: 32x32 pixels to 4x8x8 latents. Channels: docs/experiments.md.

    Args:
        size_px: side of the images, a multiple of 8.
    """
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 32, 64),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=size_px,
        mid_block_add_attention=False,
    )


def build_unet(latent_size: int) -> Any:
    """Builds the UNet: 3.98 M parameters, attention to the caption at 4x4 of 8x8 latents, v-prediction.

    Args:
        latent_size: side of the latents.
    """
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=latent_size,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(64, 128),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
    )


def build_text_encoder(tokenizer: Any) -> Any:
    """Builds the CLIP text encoder of two layers."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=256,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_noise_scheduler() -> Any:
    """Builds the noise schedule of training: Stable Diffusion's, with v-prediction.

    v-prediction: arXiv:2202.00512; with epsilon-prediction the prototype drew images
    that had nothing to do with their captions.
    """
    from diffusers import DDPMScheduler

    return DDPMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        steps_offset=1,
    )


class Denoiser(nn.Module):
    """UNet and text encoder as one module, for they are trained together."""

    def __init__(self, unet: nn.Module, text_encoder: nn.Module) -> None:
        """Joins the two."""
        super().__init__()
        self.unet = unet
        self.text_encoder = text_encoder

    def forward(self, noisy: Tensor, timesteps: Tensor, token_ids: Tensor) -> Tensor:
        """Predicts v.

        Args:
            noisy: (B, 4, L, L) float32, L the side of the latents.
            timesteps: (B,) int64.
            token_ids: (B, T) int64, T tokens of a caption.

        Returns:
            (B, 4, L, L) float32.
        """
        embedded = self.text_encoder(token_ids).last_hidden_state
        return self.unet(noisy, timesteps, embedded).sample


def reproducible_init(build: Any, seed: int, *args: Any) -> Any:
    """Builds a network whose initial weights are a function of the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(*args)
