"""Puts the trained parts into one folder in diffusers' format, float16 safetensors, with their digests."""

from pathlib import Path
from typing import Any

import torch

from stablerep.generation.pretraining.architecture import Denoiser, build_noise_scheduler
from stablerep.storage.digests import write_digests
from stablerep.storage.whole_folders import folder_written_whole


def assemble_pipeline(folder: Path, tokenizer: Any, autoencoder: Any, denoiser: Denoiser) -> None:
    """Writes the pipeline's folder; what stood there before goes only when the new one is whole.

    Args:
        folder: of the pipeline.
        tokenizer: see `build_tokenizer`.
        autoencoder: trained, or that of pixel space; with its `scaling_factor`.
        denoiser: trained.

    Raises:
        DataError: the disk refuses.
    """
    from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

    scheduler = DPMSolverMultistepScheduler.from_config(
        build_noise_scheduler().config, algorithm_type="dpmsolver++", timestep_spacing="trailing"
    )
    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=denoiser.text_encoder,
        tokenizer=tokenizer,
        unet=denoiser.unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    with folder_written_whole(folder) as beside:
        pipeline.to(torch.float16).save_pretrained(beside, safe_serialization=True)
        write_digests(beside)
