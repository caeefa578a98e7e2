"""Loads a text-to-image model of diffusers and says what its UNet gets of a caption.

Two architectures: Stable Diffusion 1.x and 2.x, with one text encoder (the embedded generator is one), and
Stable Diffusion XL, with two, a pooled embedding and the image's size. Either may be told the guidance scale
as well, as latent consistency models are (arXiv:2310.04378). Turbo models are one of these, distilled.

Legend: C captions, T tokens, D width of the text encoders, P of the pooled embedding.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stablerep.errors import ConfigError, GeneratorError
from stablerep.generation.diffusion.identity import (
    check_model_folder,
    hint_of,
    read_model_index,
    used_parts,
)
from stablerep.generation.diffusion.own_call import check_own_call, is_drawn_by_own_call
from stablerep.generation.diffusion.parts import LOADING_FAULTS, load_parts
from stablerep.generation.diffusion.settings import WHOLE_RUN, GeneratorSettings

logger = logging.getLogger(__name__)

# What the UNet gets, by the name of its argument; one row per caption, and in a batch one row per image.
Conditions = dict[str, Tensor]
_WHERE = "conf/params/generator/<name>.yaml"


def load_model(folder: Path, settings: GeneratorSettings) -> Any:
    """Returns the diffusers pipeline of a folder, its networks in the settings' dtype.

    Raises:
        GeneratorError: the folder is missing or incomplete, a part of it is damaged, or the model is of
            another family.
        ConfigError: a setting does not fit the model.
    """
    check_model_folder(folder, settings)
    pipeline = _load(folder, settings)
    if is_drawn_by_own_call(pipeline):
        check_own_call(folder, pipeline, settings)
    else:
        _check_family(folder, pipeline)
        _check_settings(folder, pipeline, settings)
    return pipeline


def _load(folder: Path, settings: GeneratorSettings) -> Any:
    from diffusers import DiffusionPipeline
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    # they warn of each caption that is too long, which we count, and of weights, which we refuse
    diffusers_logging.set_verbosity_error()
    transformers_logging.set_verbosity_error()
    index = read_model_index(folder)
    dtype = getattr(torch, settings.dtype)
    # a part that the folder does not have must be given as None
    options: dict[str, Any] = {part: None for part, (library, _) in index.items() if library is None}
    if "safety_checker" in index and not settings.safety_checker:
        options |= {"safety_checker": None, "requires_safety_checker": False}
        if index["safety_checker"][0] is not None:
            logger.warning("%s: its safety checker is not applied; look at the images", folder.name)
    used = {part: index[part] for part in used_parts(folder, settings)}
    options |= load_parts(folder, used, dtype, settings)
    try:
        return DiffusionPipeline.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, dtype=dtype, **options
        )
    except LOADING_FAULTS as error:
        raise GeneratorError(
            f"{folder}: diffusers cannot load the model ({type(error).__name__}: {error}). "
            f"{hint_of(folder, settings.repository)}"
        ) from error


def _check_family(folder: Path, pipeline: Any) -> None:
    """Raises GeneratorError for a model whose UNet wants something else than `encode_captions` gives."""
    parts = ("unet", "vae", "tokenizer", "text_encoder", "scheduler")
    fits = all(getattr(pipeline, part, None) is not None for part in parts)
    if fits:
        config = pipeline.unet.config
        added = "text_time" if getattr(pipeline, "text_encoder_2", None) is not None else None
        fits = (
            config.addition_embed_type == added and config.in_channels == pipeline.vae.config.latent_channels
        )
    if not fits:
        raise GeneratorError(
            f"{folder}: got a {type(pipeline).__name__}; must be a text-to-image model, a diffusion "
            "transformer or one with the UNet and text encoders of Stable Diffusion 1.x, 2.x or XL. Choose "
            "another with generator=<name>."
        )


def _check_settings(folder: Path, pipeline: Any, settings: GeneratorSettings) -> None:
    factor = pipeline.vae_scale_factor
    if settings.size_px % factor:
        raise ConfigError(
            f"generator.size_px: got {settings.size_px}; must be a multiple of {factor} for the "
            f"autoencoder in {folder}. Set it in {_WHERE}."
        )
    if not is_told_guidance(pipeline):
        return
    why = f"for {folder.name}, which has the scale as an input and no unconditional half. Set it in {_WHERE}."
    if settings.guidance_scale < 1:
        raise ConfigError(f"generator.guidance_scale: got {settings.guidance_scale}; must be >= 1 {why}")
    for name, value in (("negative_prompt", ""), ("guidance_interval", WHOLE_RUN)):
        if getattr(settings, name) != value:
            raise ConfigError(f"generator.{name}: got {getattr(settings, name)!r}; must be {value!r} {why}")


def is_told_guidance(pipeline: Any) -> bool:
    """Tells whether the UNet has the guidance scale as an input, instead of an unconditional half."""
    return pipeline.unet.config.time_cond_proj_dim is not None


def passes_per_image(folder: Path, settings: GeneratorSettings) -> int:
    """Returns how often the denoising network is computed for an image: a guided step computes both halves.

    Args:
        folder: of the model; a UNet that takes the guidance scale as an input needs no unconditional half.
        settings: how it is sampled.
    """
    path = folder / "unet" / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    num = settings.num_inference_steps
    if config.get("time_cond_proj_dim") is not None or not settings.guided:
        return num
    return num + sum(settings.guides(step / num) for step in range(num))


def tokenizers_of(pipeline: Any) -> list[Any]:
    """Returns the model's tokenizers, one for each text encoder."""
    each = (getattr(pipeline, name, None) for name in ("tokenizer", "tokenizer_2", "tokenizer_3"))
    return [tokenizer for tokenizer in each if tokenizer is not None]


def encode_captions(pipeline: Any, texts: Sequence[str], settings: GeneratorSettings) -> Conditions:
    """Encodes captions as the pipeline does, padded and cut to the text encoders' length.

    Returns:
        `encoder_hidden_states` (C, T, D). For an XL model `text_embeds` (C, P) and `time_ids` (C, 6), the
        original size, the crop's corner and the size that is wanted. For a model that gets the scale
        `timestep_cond` (C, its width). All in the networks' dtype.
    """
    device, num = pipeline.device, len(texts)
    encoded = pipeline.encode_prompt(
        prompt=list(texts), device=device, num_images_per_prompt=1, do_classifier_free_guidance=False
    )
    rows: Conditions = {"encoder_hidden_states": encoded[0]}
    dtype = encoded[0].dtype
    if pipeline.unet.config.addition_embed_type == "text_time":
        size = settings.size_px
        rows["text_embeds"] = encoded[2]
        rows["time_ids"] = torch.tensor([[size, size, 0, 0, size, size]] * num, dtype=dtype, device=device)
    if is_told_guidance(pipeline):
        # diffusers' scale is 1 where that of the paper is 0
        scales = torch.full((num,), settings.guidance_scale - 1.0)
        width = pipeline.unet.config.time_cond_proj_dim
        rows["timestep_cond"] = pipeline.get_guidance_scale_embedding(scales, width).to(device, dtype)
    return rows


def encode_unconditional(pipeline: Any, settings: GeneratorSettings) -> Conditions:
    """Encodes what stands in the captions' place in the unconditional half: one row."""
    rows = encode_captions(pipeline, [settings.negative_prompt], settings)
    if not settings.negative_prompt and pipeline.config.get("force_zeros_for_empty_prompt"):
        # as XL's base model was trained
        for name in ("encoder_hidden_states", "text_embeds"):
            rows[name] = torch.zeros_like(rows[name])
    return rows


def predict(unet: Any, latents: Tensor, timestep: Tensor, rows: Conditions) -> Tensor:
    """Returns the UNet's prediction, noise or velocity, of the latents' shape."""
    added = {name: rows[name] for name in ("text_embeds", "time_ids") if name in rows}
    return unet(
        latents,
        timestep,
        encoder_hidden_states=rows["encoder_hidden_states"],
        timestep_cond=rows.get("timestep_cond"),
        added_cond_kwargs=added or None,
        return_dict=False,
    )[0]


def decode_latents(pipeline: Any, latents: Tensor) -> Tensor:
    """Decodes latents to pixels (N, 3, H, W), float32 in about [-1, 1]."""
    vae, config = pipeline.vae, pipeline.vae.config
    # XL's autoencoder overflows in float16; every other's config says so too, for it is the default
    if config.force_upcast and vae.dtype == torch.float16 and len(tokenizers_of(pipeline)) == 2:
        vae.to(torch.float32)
    latents = latents.to(vae.dtype) / config.scaling_factor
    # not every class of autoencoder has these
    given = (config.get("latents_mean"), config.get("latents_std"))
    if None not in given:
        mean, std = (latents.new_tensor(each).view(1, -1, 1, 1) for each in given)
        latents = latents * std + mean
    return vae.decode(latents, return_dict=False)[0].float()
