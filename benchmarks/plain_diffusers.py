"""Images as a user of diffusers draws them: the other side of comparisons."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stablerep.generation.diffusion.identity import read_model_index


class PlainDiffusers:
    """A pipeline of diffusers, called as its documentation shows.

    Args:
        folder: of the model.
        dtype: of its networks.
        scheduler: class of the sampler; None for the model's own.
    """

    def __init__(self, folder: Path, dtype: torch.dtype, scheduler: type | None) -> None:
        import diffusers

        checker = {"safety_checker": None} if "safety_checker" in read_model_index(folder) else {}
        self.pipeline: Any = diffusers.DiffusionPipeline.from_pretrained(folder, dtype=dtype, **checker)
        self.pipeline.set_progress_bar_config(disable=True)
        self.pipeline.to("cuda" if torch.cuda.is_available() else "cpu")
        if scheduler is not None:
            self.pipeline.scheduler = scheduler.from_config(self.pipeline.scheduler.config)  # type: ignore[attr-defined]

    def draw(
        self, prompts: list[str], prompts_a_call: int, size_px: int, steps: int, guidance_scale: float
    ) -> tuple[Tensor, float]:
        """Draws an image of each prompt; returns (N, 3, H, W) uint8 and the seconds."""
        generator = torch.Generator().manual_seed(0)
        started = time.monotonic()
        images = []
        for start in range(0, len(prompts), prompts_a_call):
            drawn = self.pipeline(
                prompts[start : start + prompts_a_call],
                height=size_px,
                width=size_px,
                num_inference_steps=steps,
                guidance_scale=guidance_scale,
                generator=generator,
                output_type="np",
            ).images
            images.append(torch.from_numpy((drawn * 255).round().astype(np.uint8)).permute(0, 3, 1, 2))
        return torch.cat(images), time.monotonic() - started
