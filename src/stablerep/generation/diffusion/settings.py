"""The `generation` section of the configuration, typed and checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from stablerep.errors import ConfigError, GeneratorError, check_range

_WHERE = "conf/params/generator/<name>.yaml"
DTYPES = ("float32", "bfloat16", "float16")
AUTO_DTYPE = "auto"  # of the configuration: one of these, chosen by stablerep.generation.diffusion.precision
WHOLE_RUN = (0.0, 1.0)


@dataclass(frozen=True)
class GenerationSettings:
    """How images are made of captions.

    Attributes:
        guidance_scale: weight of classifier-free guidance (arXiv:2207.12598, with 1 for none, as in
            diffusers). Up to 1 the unconditional half is left out; above it each step has both halves.
        guidance_interval: share of the steps at which guidance starts and ends; outside it the
            unconditional half is left out (arXiv:2404.07724, there as noise levels).
        num_inference_steps: of the sampler.
        images_per_caption: images of each caption.
        size_px: height and width that the model draws.
        scheduler: class of diffusers to sample with, or None for the one in the model's folder.
        scheduler_options: what differs from the folder's scheduler settings.
        negative_prompt: what takes the empty caption's place in the unconditional half.
        saved_size_px: height and width that are stored; None for `size_px`. The paper draws 512 and
            stores 256.
        dtype: of the networks' arithmetic.
        batch_size: images drawn at once by a process, or None for as many as a GPU's free memory holds
            (on a CPU 64 of 32 px, or their pixels). Either is halved when memory runs out.
        num_shards: files of the image set. A caption's file follows from its id and this number.
        safety_checker: whether the model's own safety checker looks at each image; what it blanks is
            counted and not stored.
        compile: whether torch.compile compiles the denoising network: minutes at the start of each
            process, faster steps after them.
        cache_mib: of the samples that left the image set and are kept beside it; 0 for none.
        price_per_hour: of all machines that draw, in any currency, for forecasts and the ledger.
        repository: of huggingface.co that has the model, for the message when its folder is missing.
    """

    guidance_scale: float
    num_inference_steps: int
    images_per_caption: int
    size_px: int
    scheduler: type | None = None
    scheduler_options: Mapping[str, Any] = field(default_factory=dict)
    negative_prompt: str = ""
    saved_size_px: int | None = None
    dtype: str = "float32"
    batch_size: int | None = None
    num_shards: int = 8
    guidance_interval: tuple[float, float] = WHOLE_RUN
    safety_checker: bool = False
    repository: str | None = None
    compile: bool = False
    cache_mib: float = 0.0
    price_per_hour: float | None = None

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            ConfigError: a value is out of range.
        """
        # 100: far above every scale that anyone reports, and it keeps infinity out
        check_range("generation.guidance_scale", self.guidance_scale, 0, 100, where=_WHERE)
        start, end = self.guidance_interval
        check_range("generation.guidance_interval[0]", start, 0, 1, where=_WHERE)
        check_range("generation.guidance_interval[1]", end, 0, 1, where=_WHERE)
        for name, maximum in (
            ("num_inference_steps", 1000),
            ("images_per_caption", 10_000),
            ("size_px", 8192),
            ("num_shards", 99_999),
        ):
            check_range(f"generation.{name}", getattr(self, name), 1, maximum, where=_WHERE)
        check_range("generation.cache_mib", self.cache_mib, 0, where=_WHERE)
        if self.price_per_hour is not None:
            check_range("generation.price_per_hour", self.price_per_hour, 0, where=_WHERE)
        if self.batch_size is not None:
            check_range("generation.batch_size", self.batch_size, 1, where=_WHERE)
        if self.saved_size_px is not None:
            check_range("generation.saved_size_px", self.saved_size_px, 1, self.size_px, where=_WHERE)
        if self.dtype not in DTYPES:
            raise ConfigError(
                f"generation.dtype: got {self.dtype!r}; must be one of {', '.join(DTYPES)}. "
                f"Set it in {_WHERE}."
            )
        num = self.num_inference_steps
        if not any(self.guides(step / num) for step in range(num)):
            raise ConfigError(
                f"generation.guidance_interval: got {[start, end]}; must hold the start of at least one of "
                f"{num} steps. For no guidance set generation.guidance_scale to 1. Set it in {_WHERE}."
            )

    @property
    def guided(self) -> bool:
        """Whether any step has an unconditional half."""
        return self.guidance_scale > 1

    def guides(self, share: float) -> bool:
        """Tells whether the step that comes after this share of the steps is in the interval."""
        start, end = self.guidance_interval
        return start <= share < end

    def facts_of_pixels(self) -> dict[str, Any]:
        """Returns what of the settings shapes an image, JSON-able; the rest is speed and layout."""
        scheduler = self.scheduler.__name__ if self.scheduler is not None else None
        facts: dict[str, Any] = {
            "scheduler": scheduler,
            "scheduler_options": dict(self.scheduler_options),
            "num_inference_steps": self.num_inference_steps,
            "guidance_scale": float(self.guidance_scale) if self.guided else 1.0,
            # without guidance nothing reads it
            "negative_prompt": self.negative_prompt if self.guided else "",
            "size_px": self.size_px,
            "saved_size_px": self.saved_size_px or self.size_px,
            "dtype": self.dtype,
        }
        # options are facts where they are used: images that were made before there was one keep their id
        if self.guided and self.guidance_interval != WHOLE_RUN:
            facts["guidance_interval"] = list(self.guidance_interval)
        if self.safety_checker:
            facts["safety_checker"] = True
        if self.compile:
            facts["compile"] = True  # fused kernels round otherwise
        return facts

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], images_per_caption: int) -> Self:
        """Returns the settings of which `facts_of_pixels` gives these facts, for one image at a time.

        Args:
            facts: more than these may be there, as in a generator's description.
            images_per_caption: to draw.

        Raises:
            KeyError: a fact is missing.
            GeneratorError: this release of diffusers has no such sampler.
        """
        start, end = facts.get("guidance_interval", WHOLE_RUN)
        return cls(
            guidance_scale=facts["guidance_scale"],
            num_inference_steps=facts["num_inference_steps"],
            images_per_caption=images_per_caption,
            size_px=facts["size_px"],
            scheduler=_scheduler_class(facts["scheduler"]),
            scheduler_options=facts["scheduler_options"],
            negative_prompt=facts["negative_prompt"],
            saved_size_px=facts["saved_size_px"],
            dtype=facts["dtype"],
            guidance_interval=(start, end),
            safety_checker=facts.get("safety_checker", False),
            compile=facts.get("compile", False),
            batch_size=1,
        )


def _scheduler_class(name: str | None) -> type | None:
    if name is None:
        return None
    import diffusers

    found: type | None = getattr(diffusers, name, None)
    if found is None:
        raise GeneratorError(
            f"sampler {name!r}: not in diffusers {diffusers.__version__}; must be the one that drew the "
            "image. Install the release that its record names."
        )
    return found
