"""Our own sampling loop, for models with the UNet of Stable Diffusion: XL, Turbo, consistency models too.

What differs between them stands in `model`. Our own, so that captions are encoded once, guidance may end
early, and no half is computed that nobody wants. It follows the `__call__` of diffusers' pipelines otherwise,
and a test holds the two together for each architecture.

Legend: N images of a batch, C captions, latents (N, 4, h, w).
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from stablerep.errors import GeneratorError
from stablerep.generation.diffusion.model import (
    Conditions,
    decode_latents,
    encode_captions,
    encode_unconditional,
    is_told_guidance,
    predict,
)
from stablerep.generation.diffusion.noise import with_image_noise
from stablerep.generation.diffusion.settings import GeneratorSettings


class SamplingLoop:
    """Draws with a UNet, a sampler and an autoencoder."""

    def __init__(self, pipeline: Any, scheduler: Any, settings: GeneratorSettings) -> None:
        """Takes the parts from a pipeline that stands on its device."""
        self.pipeline, self.scheduler, self.settings = pipeline, scheduler, settings
        self.unet = pipeline.unet
        # measured on one CPU thread with the embedded architecture: 15 to 30 % more images a second
        for network in (pipeline.unet, pipeline.vae):
            network.to(memory_format=torch.channels_last)
        self.guided = settings.guided and not is_told_guidance(pipeline)
        side = settings.size_px // pipeline.vae_scale_factor
        self.latent_shape = (self.unet.config.in_channels, side, side)
        self._empty: Conditions = {}

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], most: int) -> Conditions:
        """Encodes captions, at most `most` at once; see `encode_captions`."""
        if self.guided and not self._empty:
            self._empty = encode_unconditional(self.pipeline, self.settings)
        parts = [
            encode_captions(self.pipeline, texts[start : start + most], self.settings)
            for start in range(0, len(texts), most)
        ]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    @torch.inference_mode()
    def draw(
        self,
        encoded: Conditions,
        chosen: Sequence[int],
        generators: Sequence[torch.Generator],
        on_step: Callable[[int, int, int], None] | None = None,
    ) -> Tensor:
        """Draws an image of each chosen caption.

        Args:
            encoded: from `encode`.
            chosen: N rows of it.
            generators: one for each image; every draw comes from them.
            on_step: as `DiffusersGenerator.draw` has it.

        Returns:
            (N, 3, H, W) float32 in about [-1, 1].
        """
        rows = {name: each[list(chosen)] for name, each in encoded.items()}
        return decode_latents(self.pipeline, self._sample(rows, list(generators), on_step))

    @with_image_noise
    def initial_noise(self, generators: Sequence[torch.Generator]) -> Tensor:
        """Draws the noise that sampling starts from, one generator an image, on the CPU in float32."""
        noise = [torch.randn(self.latent_shape, generator=generator) for generator in generators]
        return torch.stack(noise)

    def _sample(
        self,
        rows: Conditions,
        generators: list[torch.Generator],
        on_step: Callable[[int, int, int], None] | None,
    ) -> Tensor:
        """Runs the sampler; returns latents (N, 4, h, w)."""
        scheduler = self.scheduler
        # for each batch anew: multistep samplers remember what they predicted before
        scheduler.set_timesteps(self.settings.num_inference_steps, device=self.pipeline.device)
        latents = self.initial_noise(generators).to(self.pipeline.device, self.unet.dtype)
        latents = latents * scheduler.init_noise_sigma
        halves = {name: (self._empty[name].expand_as(rows[name]), rows[name]) for name in self._empty}
        both = {name: torch.cat(pair) for name, pair in halves.items()}
        options: dict[str, Any] = {}
        if "generator" in inspect.signature(scheduler.step).parameters:
            options["generator"] = generators
        num_steps = len(scheduler.timesteps)
        for step, timestep in enumerate(scheduler.timesteps):
            guided = self.guided and self.settings.guides(step / num_steps)
            given = scheduler.scale_model_input(
                torch.cat([latents, latents]) if guided else latents, timestep
            )
            predicted = predict(self.unet, given, timestep, both if guided else rows)
            if step == 0:
                _check_prediction(predicted)
            if guided:
                without, with_caption = predicted.chunk(2)
                predicted = without + self.settings.guidance_scale * (with_caption - without)
            latents = scheduler.step(predicted, timestep, latents, return_dict=False, **options)[0]
            latents = latents.to(self.unet.dtype)
            if on_step is not None:
                on_step(step + 1, num_steps, len(generators))
        return latents


def _check_prediction(predicted: Tensor) -> None:
    """Raises GeneratorError for a UNet that predicts nothing: sampling would turn its noise into noise."""
    if predicted.amax() == predicted.amin():
        raise GeneratorError(
            "generation: the UNet predicts the same value for every pixel. Its weights are damaged: download "
            "the model again; `git checkout -- data/06_models/generator` restores the embedded generator."
        )
