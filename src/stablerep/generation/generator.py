"""Draws images of captions with a text-to-image model of diffusers.

One class for the embedded generator and for Stable Diffusion's family. The sampling loop is our own, around
the model's UNet, sampler and autoencoder, so that the initial noise of an image, and every later draw of a
stochastic sampler, is a function of (seed, caption id, index) alone: see `image_noise_seed`. It follows
diffusers' StableDiffusionPipeline.__call__ otherwise, and a test holds the two together.

Legend: N images of a batch, C captions, T tokens, D width of the text encoder, latents (N, 4, h, w).
"""

import inspect
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from stablerep.errors import ConfigError, GeneratorError
from stablerep.generation.identity import check_model_folder, read_model_index
from stablerep.generation.settings import GenerationSettings
from stablerep.seeding import seed_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One image to draw.

    Attributes:
        caption_id: of the caption.
        text: the caption.
        index: of the image among the caption's.
    """

    caption_id: str
    text: str
    index: int


def image_noise_seed(seed: int, caption_id: str, index: int) -> int:
    """Returns the seed of everything random in an image."""
    return seed_of("noise", seed, caption_id, index)


class DiffusersGenerator:
    """A loaded text-to-image model.

    Results: the initial noise of an image is bit-equal whatever is drawn beside it. Its pixels are so as
    well where the kernels are; where they round differently by batch size, levels differ by at most
    one in rare pixels: measured in 2e-5 of the values with batches of 1 and 7 against 64, none with 32, none
    with two threads against one (`test_batch_size_and_order_leave_an_image_alone`).
    """

    def __init__(self, folder: Path, settings: GenerationSettings) -> None:
        """Loads the model, on a GPU where there is one.

        Args:
            folder: in diffusers' format, with safetensors weights.
            settings: how to draw.

        Raises:
            GeneratorError: the folder is missing or incomplete, or the model is of another family.
            ConfigError: the size does not fit the model.
        """
        started = time.monotonic()
        self.settings = settings
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype: torch.dtype = getattr(torch, settings.dtype)
        pipeline = _load(Path(folder), self.dtype)
        _check_family(Path(folder), pipeline)
        pipeline.to(self.device)
        # measured on one CPU thread with the embedded architecture: 15 to 30 % more images a second
        self.unet = pipeline.unet.eval().to(memory_format=torch.channels_last)
        self.vae = pipeline.vae.eval().to(memory_format=torch.channels_last)
        self.tokenizer, self.text_encoder = pipeline.tokenizer, pipeline.text_encoder.eval()
        self.scheduler = self._choose_scheduler(pipeline.scheduler)
        factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        if settings.size_px % factor:
            raise ConfigError(
                f"generation.size_px: got {settings.size_px}; must be a multiple of {factor} for the "
                f"autoencoder in {folder}. Set it in conf/params/generator/<name>.yaml."
            )
        side = settings.size_px // factor
        self.latent_shape = (self.unet.config.in_channels, side, side)
        self._empty: Tensor | None = None
        self.load_s = time.monotonic() - started

    def _choose_scheduler(self, given: Any) -> Any:
        chosen: Any = self.settings.scheduler or type(given)
        options = dict(self.settings.scheduler_options)
        known = set(inspect.signature(chosen.__init__).parameters)
        unknown = sorted(set(options) - known)
        if unknown:
            # diffusers would drop them in silence
            raise ConfigError(
                f"generation.scheduler: {chosen.__name__} has no setting {', '.join(unknown)}; it has "
                f"{', '.join(sorted(known - {'self'}))}. Set it in conf/params/generator/<name>.yaml."
            )
        return chosen.from_config(given.config, **options)

    # ------------------------------------------------------------------------------------- captions

    def truncated(self, texts: Sequence[str]) -> list[bool]:
        """Tells for each caption whether it has more tokens than the text encoder takes."""
        if not texts:
            return []
        tokens = self.tokenizer(list(texts), truncation=False, verbose=False).input_ids
        return [len(ids) > self.tokenizer.model_max_length for ids in tokens]

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Encodes texts as diffusers does, padded and cut to the text encoder's length.

        Returns:
            (C, T, D) in the generator's dtype.
        """
        parts = []
        for start in range(0, len(texts), self.settings.batch_size):
            tokens = self.tokenizer(
                list(texts[start : start + self.settings.batch_size]),
                padding="max_length",
                max_length=self.tokenizer.model_max_length,
                truncation=True,
                return_tensors="pt",
            )
            masked = getattr(self.text_encoder.config, "use_attention_mask", False)
            mask = tokens.attention_mask.to(self.device) if masked else None
            encoded = self.text_encoder(tokens.input_ids.to(self.device), attention_mask=mask)
            parts.append(encoded[0].to(self.dtype))
        return torch.cat(parts)

    # ------------------------------------------------------------------------------------- images

    def draw(self, requests: Sequence[ImageRequest], seed: int) -> Iterator[Tensor]:
        """Draws images in batches across captions, each caption encoded once.

        Args:
            requests: what to draw, in this order.
            seed: of the image set.

        Yields:
            (N, 3, H, W) uint8 on the CPU, N at most the batch size.

        Raises:
            GeneratorError: the model gives values that are not finite, or the sampler draws from the
                global random state.
        """
        texts = list(dict.fromkeys(request.text for request in requests))
        rows = {text: row for row, text in enumerate(texts)}
        if not texts:
            return
        embedded_CTD = self.encode_texts(texts)
        if self.settings.guided and self._empty is None:
            self._empty = self.encode_texts([self.settings.negative_prompt])
        for batch in _even_batches(requests, self.settings.batch_size):
            chosen = torch.tensor([rows[request.text] for request in batch], device=self.device)
            generators = [
                torch.Generator().manual_seed(image_noise_seed(seed, r.caption_id, r.index)) for r in batch
            ]
            latents = self._sample(embedded_CTD[chosen], generators)
            yield self._decode(latents)

    def initial_noise(self, generators: Sequence[torch.Generator]) -> Tensor:
        """Draws the noise that sampling starts from, one generator an image, on the CPU in float32."""
        noise = [torch.randn(self.latent_shape, generator=generator) for generator in generators]
        return torch.stack(noise)

    @torch.inference_mode()
    def _sample(self, embedded_NTD: Tensor, generators: list[torch.Generator]) -> Tensor:
        """Runs the sampler; returns latents (N, 4, h, w)."""
        scheduler, num = self.scheduler, len(generators)
        # for each batch anew: multistep samplers remember what they predicted before
        scheduler.set_timesteps(self.settings.num_inference_steps, device=self.device)
        latents = self.initial_noise(generators).to(self.device, self.dtype)
        latents = latents * scheduler.init_noise_sigma
        context = embedded_NTD
        if self.settings.guided:
            if self._empty is None:
                raise GeneratorError("the unconditional caption is not encoded; call `draw`.")
            context = torch.cat([self._empty.expand(num, -1, -1), embedded_NTD])
        options: dict[str, Any] = {}
        if "generator" in inspect.signature(scheduler.step).parameters:
            options["generator"] = generators
        before = torch.get_rng_state()
        for timestep in scheduler.timesteps:
            predicted = self._predict(latents, timestep, context)
            latents = scheduler.step(predicted, timestep, latents, return_dict=False, **options)[0]
        if not torch.equal(before, torch.get_rng_state()):
            raise GeneratorError(
                f"{type(scheduler).__name__} draws from the global random state, so that an image would "
                "depend on its batch. Choose another sampler in conf/params/generator/<name>.yaml."
            )
        return latents

    def _predict(self, latents: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
        """Predicts noise or velocity, both halves of the guidance in one pass."""
        guided = self.settings.guided
        doubled = torch.cat([latents, latents]) if guided else latents
        doubled = self.scheduler.scale_model_input(doubled, timestep)
        predicted = self.unet(doubled, timestep, encoder_hidden_states=context, return_dict=False)[0]
        if not guided:
            return predicted
        without, with_caption = predicted.chunk(2)
        return without + self.settings.guidance_scale * (with_caption - without)

    @torch.inference_mode()
    def _decode(self, latents: Tensor) -> Tensor:
        """Decodes latents to (N, 3, H, W) uint8 on the CPU."""
        shift = getattr(self.vae.config, "shift_factor", None) or 0.0
        scaled = latents.to(self.dtype) / self.vae.config.scaling_factor + shift
        pixels = self.vae.decode(scaled, return_dict=False)[0].float()
        if not torch.isfinite(pixels).all():
            raise GeneratorError(
                f"the model gives values that are not finite in {self.settings.dtype}. Set "
                "generation.dtype to float32 or bfloat16 in conf/params/generator/<name>.yaml."
            )
        size = self.settings.saved_size_px
        if size is not None and size != pixels.shape[-1]:
            pixels = F.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
        return ((pixels / 2 + 0.5).clamp_(0, 1) * 255).round_().to(torch.uint8).cpu()


def _even_batches(requests: Sequence[ImageRequest], most: int) -> Iterator[Sequence[ImageRequest]]:
    """Splits into the fewest batches, of sizes that differ by one at most: a rump batch is slow."""
    num = -(-len(requests) // most)
    bounds = [len(requests) * i // num for i in range(num + 1)]
    for start, end in zip(bounds, bounds[1:], strict=False):
        yield requests[start:end]


def _load(folder: Path, dtype: torch.dtype) -> Any:
    check_model_folder(folder)
    from diffusers import DiffusionPipeline
    from diffusers.utils import logging as diffusers_logging
    from safetensors import SafetensorError
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    options: dict[str, Any] = {}
    index = read_model_index(folder)
    if "safety_checker" in index:
        options = {"safety_checker": None, "requires_safety_checker": False}
        if index["safety_checker"][0] is not None:
            logger.warning("%s: its safety checker is not applied; look at the images", folder.name)
    try:
        return DiffusionPipeline.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, dtype=dtype, **options
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise GeneratorError(
            f"{folder}: diffusers cannot load the model ({type(error).__name__}: {error}). Is a file "
            "half downloaded? Restore the embedded generator with `git checkout` or `dvc checkout`, or "
            "download the model again, whole and as safetensors."
        ) from error


def _check_family(folder: Path, pipeline: Any) -> None:
    """Raises GeneratorError for a model whose UNet wants more than a caption's tokens."""
    parts = ("unet", "vae", "tokenizer", "text_encoder", "scheduler")
    missing = [part for part in parts if getattr(pipeline, part, None) is None]
    extra = getattr(pipeline, "text_encoder_2", None) is not None
    if not missing and not extra:
        config = pipeline.unet.config
        extra = config.addition_embed_type is not None or config.time_cond_proj_dim is not None
        extra = extra or config.in_channels != pipeline.vae.config.latent_channels
    if missing or extra:
        raise GeneratorError(
            f"{folder}: got a {type(pipeline).__name__}; must be a text-to-image model with one text "
            "encoder, such as Stable Diffusion 1.x, 2.x or the embedded generator. Choose another with "
            "generator=<name>."
        )
