"""The generator's networks, in the classes of diffusers and transformers."""

from typing import Any

import torch
from torch import Tensor, nn

from stablerep.generation.pretraining.recipe import LatentSizes, TextSizes, UnetSizes

_NORM_GROUPS = 8  # recipe.py holds channels to multiples of it


def build_autoencoder(sizes: LatentSizes, size_px: int) -> Any:
    """Builds the autoencoder. The embedded generator's channels: docs/experiments.md.

    Args:
        sizes: of the network.
        size_px: side of the images.
    """
    from diffusers import AutoencoderKL

    levels = len(sizes.channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=sizes.channels,
        layers_per_block=sizes.layers_per_block,
        latent_channels=sizes.num_channels,
        norm_num_groups=_NORM_GROUPS,
        sample_size=size_px,
        mid_block_add_attention=False,
    )


def build_unet(sizes: UnetSizes, text: TextSizes, num_channels: int, size: int) -> Any:
    """Builds the UNet, for v-prediction.

    Args:
        sizes: of the network.
        text: of the text encoder whose output it attends to.
        num_channels: of what it denoises.
        size: side of what it denoises.
    """
    from diffusers import UNet2DConditionModel

    down = ["CrossAttnDownBlock2D" if each else "DownBlock2D" for each in sizes.attention]
    up = ["CrossAttnUpBlock2D" if each else "UpBlock2D" for each in reversed(sizes.attention)]
    return UNet2DConditionModel(
        sample_size=size,
        in_channels=num_channels,
        out_channels=num_channels,
        layers_per_block=sizes.layers_per_block,
        block_out_channels=sizes.channels,
        down_block_types=tuple(down),
        up_block_types=tuple(up),
        cross_attention_dim=text.width,
        attention_head_dim=sizes.num_heads,  # diffusers' name for the number of heads
        norm_num_groups=_NORM_GROUPS,
    )


def build_text_encoder(sizes: TextSizes, tokenizer: Any) -> Any:
    """Builds the CLIP text encoder."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=sizes.width,
            intermediate_size=2 * sizes.width,
            projection_dim=sizes.width,
            num_hidden_layers=sizes.num_layers,
            num_attention_heads=sizes.num_heads,
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
            noisy: (B, C, L, L) float32, C channels and L side of the latents or pixels.
            timesteps: (B,) int64.
            token_ids: (B, T) int64, T tokens of a caption.

        Returns:
            (B, C, L, L).
        """
        embedded = self.text_encoder(token_ids).last_hidden_state
        return self.unet(noisy, timesteps, embedded).sample


def reproducible_init(build: Any, seed: int, *args: Any) -> Any:
    """Builds a network whose initial weights are a function of the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(*args)
