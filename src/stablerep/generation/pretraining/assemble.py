"""Puts the trained parts into one folder in diffusers' format, float16 safetensors, with their digests."""

import shutil
from pathlib import Path
from typing import Any

import torch

from stablerep.generation.pretraining.architecture import Denoiser, build_noise_scheduler
from stablerep.storage.digests import write_digests


def assemble_pipeline(folder: Path, tokenizer: Any, autoencoder: Any, denoiser: Denoiser) -> None:
    """Writes the pipeline's folder; what stood there before goes only when the new one is whole.

    Args:
        folder: of the pipeline.
        tokenizer: see `build_tokenizer`.
        autoencoder: trained, or that of pixel space; with its `scaling_factor`.
        denoiser: trained.
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
    beside = folder.with_name(folder.name + ".partial")
    shutil.rmtree(beside, ignore_errors=True)
    pipeline.to(torch.float16).save_pretrained(beside, safe_serialization=True)
    write_digests(beside)
    # two renames: the old folder is gone only for the moment between them, and stays on disk until the end
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    beside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
