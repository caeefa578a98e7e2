"""Has diffusers' own call draw: for architectures that our sampling loop does not know.

Diffusion transformers (Stable Diffusion 3, PixArt, Flux and others) differ in what they encode and how they
sample, and share the call. Each image gets its own random generator there too. What our loop saves is not
saved: captions are encoded for each batch, and guidance is not limited to an interval.

Legend: N images of a batch.
"""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stablerep.errors import ConfigError, GeneratorError
from stablerep.generation.diffusion.noise import with_image_noise
from stablerep.generation.diffusion.settings import WHOLE_RUN, GeneratorSettings

_NEEDED = ("prompt", "height", "width", "num_inference_steps", "guidance_scale", "generator", "output_type")
_FOREIGN = ("image", "video", "num_frames")  # arguments of what draws no still image from words alone
# they would change the size and the caption
_SWITCHED_OFF = ("use_resolution_binning", "clean_caption")


def is_drawn_by_own_call(pipeline: Any) -> bool:
    """Tells whether a pipeline is a diffusion transformer that draws an image of a text."""
    known = inspect.signature(pipeline.__call__).parameters
    is_transformer = getattr(pipeline, "transformer", None) is not None
    return is_transformer and set(_NEEDED) <= set(known) and not set(_FOREIGN) & set(known)


def check_own_call(folder: Path, pipeline: Any, settings: GeneratorSettings) -> None:
    """Raises ConfigError for a setting that the pipeline's call would ignore."""
    known = inspect.signature(pipeline.__call__).parameters
    ignored: list[tuple[str, Any]] = [("guidance_interval", WHOLE_RUN)]
    if "negative_prompt" not in known:
        ignored.append(("negative_prompt", ""))
    for name, value in ignored:
        if getattr(settings, name) != value:
            raise ConfigError(
                f"generator.{name}: got {getattr(settings, name)!r}; must be {value!r} for {folder.name}, "
                f"a {type(pipeline).__name__}. Set it in conf/params/generator/<name>.yaml."
            )


class OwnCall:
    """Draws with a pipeline's call."""

    def __init__(self, pipeline: Any, scheduler: Any, settings: GeneratorSettings) -> None:
        """Takes a pipeline that stands on its device."""
        self.pipeline, self.settings = pipeline, settings
        pipeline.scheduler = scheduler
        if hasattr(pipeline, "prepare_latents"):
            pipeline.prepare_latents = with_image_noise(pipeline.prepare_latents)
        pipeline.set_progress_bar_config(disable=True)

    def encode(self, texts: Sequence[str], most: int) -> list[str]:
        """Returns the captions: the call encodes them itself."""
        return list(texts)

    def draw(
        self,
        encoded: list[str],
        chosen: Sequence[int],
        generators: Sequence[torch.Generator],
        on_step: Callable[[int, int, int], None] | None = None,
    ) -> Tensor:
        """Draws an image of each chosen caption; as `SamplingLoop.draw`.

        Raises:
            GeneratorError: the pipeline refuses, for instance the size.
        """
        settings, num = self.settings, len(chosen)
        known = inspect.signature(self.pipeline.__call__).parameters
        call: dict[str, Any] = {name: False for name in _SWITCHED_OFF if name in known}
        if "negative_prompt" in known:
            call["negative_prompt"] = [settings.negative_prompt] * num
        if on_step is not None and "callback_on_step_end" in known:
            call["callback_on_step_end"] = _telling(on_step, settings.num_inference_steps, num)
        try:
            images = self.pipeline(
                prompt=[encoded[row] for row in chosen],
                height=settings.size_px,
                width=settings.size_px,
                num_inference_steps=settings.num_inference_steps,
                guidance_scale=settings.guidance_scale if settings.guided else 1.0,
                generator=list(generators),
                output_type="pt",
                **call,
            ).images
        except ValueError as error:
            raise GeneratorError(
                f"generation: {type(self.pipeline).__name__} refuses: {error} Change the setting that it "
                "names in conf/params/generator/<name>.yaml."
            ) from error
        return images.float() * 2 - 1


def _telling(on_step: Callable[[int, int, int], None], num_steps: int, num_images: int) -> Callable[..., Any]:
    """Returns what a pipeline calls after each step; it changes nothing."""

    def tell(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        del pipeline, timestep
        on_step(step + 1, num_steps, num_images)
        return tensors

    return tell
