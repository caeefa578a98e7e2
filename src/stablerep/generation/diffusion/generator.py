"""Draws images of captions with a text-to-image model of diffusers.

One class for the embedded generator and any other: Stable Diffusion's family by `SamplingLoop`, diffusion
transformers by `OwnCall`. The initial noise of an image, and every later draw of a stochastic sampler, is a
function of (seed, caption id, index) alone: see `image_noise_seed`.

Legend: N images of a batch.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from stablerep.errors import GeneratorError
from stablerep.generation.diffusion.identity import hint_of
from stablerep.generation.diffusion.model import load_model, tokenizers_of
from stablerep.generation.diffusion.noise import check_untouched, image_generator, with_image_noise
from stablerep.generation.diffusion.own_call import OwnCall, is_drawn_by_own_call
from stablerep.generation.diffusion.sampling_loop import SamplingLoop
from stablerep.generation.diffusion.scheduler import choose_scheduler
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.seeding import seed_of

logger = logging.getLogger(__name__)

CPU_BATCH_PIXELS = 64 * 32 * 32  # the embedded generator's batch; larger images gain nothing from company
MAX_BATCH_SIZE = 256
SHARE_OF_MEMORY = 0.8  # of what is free; the rest is for what the allocator cannot join


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


class Drawn(NamedTuple):
    """A batch of images.

    Attributes:
        images: (N, 3, H, W) uint8 on the CPU.
        unsafe: of each, whether the safety checker blanked it.
    """

    images: Tensor
    unsafe: list[bool]


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

    def __init__(self, folder: Path, settings: GeneratorSettings) -> None:
        """Loads the model, on a GPU where there is one.

        Args:
            folder: in diffusers' format, with safetensors weights.
            settings: how to draw.

        Raises:
            GeneratorError: the folder is missing or incomplete, a part of it is damaged, or the model is of
                another family.
            ConfigError: a setting does not fit the model.
        """
        self.folder, self.settings = Path(folder), settings
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype: torch.dtype = getattr(torch, settings.dtype)
        self.pipeline = load_model(self.folder, settings).to(self.device)
        if settings.compile:
            denoiser = getattr(self.pipeline, "unet", None) or self.pipeline.transformer
            denoiser.compile()  # in place: the module keeps its class and its settings
        self.scheduler = choose_scheduler(self.folder, self.pipeline.scheduler, settings)
        self.scheduler.step = with_image_noise(self.scheduler.step)
        kind: Any = OwnCall if is_drawn_by_own_call(self.pipeline) else SamplingLoop
        self.sampler = kind(self.pipeline, self.scheduler, settings)
        self.batch_size = settings.batch_size or self._find_batch_size()

    def _find_batch_size(self) -> int:
        """Returns how many images fit, from what drawing two of them takes of a GPU's memory."""
        if self.device.type != "cuda":
            return max(1, CPU_BATCH_PIXELS // self.settings.size_px**2)
        self.batch_size = 2
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        for _ in self.draw([ImageRequest("c-probe", "", index) for index in range(2)], 0):
            pass
        taken = torch.cuda.max_memory_allocated() - before
        torch.cuda.empty_cache()
        size = batch_size_that_fits(torch.cuda.mem_get_info()[0], taken / 2)
        logger.info("batches of %d images: one takes %.2f GiB of GPU memory", size, taken / 2 / 2**30)
        return size

    # ------------------------------------------------------------------------------------- captions

    def truncated(self, texts: Sequence[str]) -> list[bool]:
        """Tells for each caption whether it has more tokens than a text encoder takes."""
        too_long = [False] * len(texts)
        for tokenizer in tokenizers_of(self.pipeline) if texts else []:
            tokens = tokenizer(list(texts), truncation=False, verbose=False).input_ids
            limit = tokenizer.model_max_length
            too_long = [before or len(ids) > limit for before, ids in zip(too_long, tokens, strict=True)]
        return too_long

    # ------------------------------------------------------------------------------------- images

    def draw(
        self,
        requests: Sequence[ImageRequest],
        seed: int,
        on_step: Callable[[int, int, int], None] | None = None,
    ) -> Iterator[Drawn]:
        """Draws images in batches across captions, each caption encoded once.

        Args:
            requests: what to draw, in this order.
            seed: of the image set.
            on_step: called after each step of a batch with its number, from 1, the number of steps, and that
                of the batch's images.

        Yields:
            Batches of at most the batch size.

        Raises:
            GeneratorError: a batch is not finite or of one value, the sampler draws from anything else than
                the image's noise, or memory does not hold a single image.
        """
        texts = list(dict.fromkeys(request.text for request in requests))
        row_of = {text: row for row, text in enumerate(texts)}
        if not texts:
            return
        encoded = self.sampler.encode(texts, self.batch_size)
        done, sizes = 0, _even_sizes(len(requests), self.batch_size)
        while done < len(requests):
            batch = requests[done : done + sizes[0]]
            chosen = [row_of[request.text] for request in batch]
            seeds = [image_noise_seed(seed, each.caption_id, each.index) for each in batch]
            generators = [image_generator(self.settings.noise, each) for each in seeds]
            try:
                before = torch.get_rng_state()
                pixels = self.sampler.draw(encoded, chosen, generators, on_step)
                check_untouched(generators)
                self._check_pixels(pixels, before)
                drawn = self._finish(pixels)
            except torch.OutOfMemoryError as error:
                self._step_down(len(batch), error)
                sizes = _even_sizes(len(requests) - done, self.batch_size)
                continue
            done += sizes.pop(0)
            yield drawn

    def _step_down(self, num: int, error: torch.OutOfMemoryError) -> None:
        """Halves the batch size after a batch did not fit into memory."""
        if num == 1:
            raise GeneratorError(
                f"generation: memory does not hold one image of {self.settings.size_px} px in "
                f"{self.settings.dtype} ({error}). Set generator.dtype to bfloat16 or generator.size_px "
                "lower in conf/params/generator/<name>.yaml, or free the GPU."
            ) from error
        self.batch_size = num // 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        logger.warning("out of memory with %d images at once; going on with %d", num, self.batch_size)

    def _check_pixels(self, pixels: Tensor, random_state: Tensor) -> None:
        if not torch.equal(random_state, torch.get_rng_state()):
            raise GeneratorError(
                f"{type(self.scheduler).__name__} draws from the global random state, so that an image would "
                "depend on its batch. Choose another sampler in conf/params/generator/<name>.yaml."
            )
        if not torch.isfinite(pixels).all():
            raise GeneratorError(
                f"{self.folder}: the model draws values that are not finite. {self._advice()}"
            )
        if (pixels.amax((1, 2, 3)) == pixels.amin((1, 2, 3))).all():
            raise GeneratorError(
                f"{self.folder}: every pixel of {len(pixels)} images has the same value. {self._advice()}"
            )

    def _advice(self) -> str:
        """Returns what to do about images that are none; float32 is not advised where it is set."""
        dtype, where = self.settings.dtype, "conf/params/generator/<name>.yaml"
        if dtype != "float32":
            others = "float32 or bfloat16" if dtype == "float16" else "float32"
            return f"It draws in {dtype}: set generator.dtype to {others} in {where}."
        return (
            "It draws in float32 already: set a lower generator.guidance_scale or another scheduler in "
            f"{where}, or the weights are damaged. {hint_of(self.folder, self.settings.repository)}"
        )

    @torch.inference_mode()
    def _finish(self, pixels: Tensor) -> Drawn:
        """Has the safety checker look at the images at the size that was drawn; rounds and resizes."""
        unsafe = [False] * len(pixels)
        if self.settings.safety_checker:
            pixels, unsafe = self.pipeline.run_safety_checker(pixels, self.device, self.dtype)
        size = self.settings.saved_size_px
        if size is not None and size != pixels.shape[-1]:
            pixels = F.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
        images = ((pixels / 2 + 0.5).clamp_(0, 1) * 255).round_().to(torch.uint8).cpu()
        return Drawn(images, list(unsafe))


def batch_size_that_fits(free_bytes: float, bytes_per_image: float) -> int:
    """Returns the power of two of images that takes at most `SHARE_OF_MEMORY` of the free memory.

    A power of two, so that a little more or less free memory does not change how a set is batched.
    """
    num = min(MAX_BATCH_SIZE, int(SHARE_OF_MEMORY * free_bytes / bytes_per_image))
    return 1 << (max(1, num).bit_length() - 1)


def _even_sizes(num: int, most: int) -> list[int]:
    """Splits into the fewest batches, of sizes that differ by one at most: a rump batch is slow."""
    num_batches = -(-num // most)
    bounds = [num * i // num_batches for i in range(num_batches + 1)]
    return [end - start for start, end in zip(bounds, bounds[1:], strict=False)]
