"""Settings of the text-to-image model and how it is sampled: the section `generator` of the configuration."""

import importlib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from stablerep.errors import ConfigError, GeneratorError
from stablerep.settings import SettingError, Settings, Values, file_of

DTYPES = ("float32", "bfloat16", "float16")
AUTO_DTYPE = "auto"  # one of DTYPES, chosen by stablerep.generation.diffusion.precision
WHOLE_RUN = (0.0, 1.0)
PHILOX, TORCH_NOISE = "philox", "torch"  # values of `noise`
_Share = Annotated[float, Field(ge=0, le=1)]


class GeneratorSettings(Settings):
    """How images are made of captions."""

    section: ClassVar[str] = "generator"

    model_folder: str | None = Field(
        None,
        description="in diffusers' format, relative to the project or absolute; null: the embedded one",
    )
    # 100: far above every scale that anyone reports, and it keeps infinity out
    guidance_scale: float = Field(
        ge=0,
        le=100,
        description="of classifier-free guidance (arXiv:2207.12598; as in diffusers 1 is none). Up to 1 the "
        "unconditional half is left out",
    )
    guidance_interval: Annotated[tuple[_Share, _Share], Values] = Field(
        WHOLE_RUN,
        description="share of the steps at which guidance starts and ends; outside it the unconditional half "
        "is left out (arXiv:2404.07724, there as noise levels)",
    )
    num_inference_steps: int = Field(ge=1, le=1000, description="of the sampler")
    images_per_caption: int = Field(ge=1, le=10_000)
    size_px: int = Field(ge=1, le=8192, description="height and width that the model draws")
    saved_size_px: int | None = Field(
        None, ge=1, description="height and width that are stored; null: size_px. The paper: 512 and 256"
    )
    scheduler: dict[str, Any] = Field(
        default_factory=dict,
        description="`_target_`: class of diffusers, without it the one of the model's folder; and what "
        "differs from the folder's settings",
    )
    negative_prompt: str = Field("", description="in place of the empty caption in the unconditional half")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "float32", description="of the networks; auto: the fastest here, or that of the set that is there"
    )
    noise: Literal["auto", "philox", "torch"] = Field(
        "auto",
        description="random generator of an image's noise. auto: that of the existing images, or philox "
        "for a new set. torch: that of earlier releases, which uses 32 bits of the seed",
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        description="images drawn at once by a process; null: as many as a GPU's free memory holds (on a CPU "
        "64 of 32 px, or their pixels). Halved when memory runs out",
    )
    num_shards: int = Field(
        8, ge=1, le=99_999, description="files of the image set; a caption's file follows from its id"
    )
    safety_checker: bool = Field(
        False, description="whether the model's own checks each image; what it blanks is counted, not stored"
    )
    compile: bool = Field(
        False, description="torch.compile of the denoising network: minutes at the start of each process"
    )
    cache_mib: float = Field(
        0.0, ge=0, description="MiB of samples that left the image set and are kept beside it"
    )
    price_per_hour: float | None = Field(
        None, ge=0, description="of all machines that draw, in any currency, for forecasts and the ledger"
    )
    repository: str | None = Field(
        None, description="of huggingface.co that has the model, for the message when its folder is missing"
    )

    @model_validator(mode="after")
    def _check_sizes_and_interval(self) -> Self:
        if self.saved_size_px is not None and self.saved_size_px > self.size_px:
            raise SettingError(
                "saved_size_px",
                f"got {self.saved_size_px!r}; must be >= 1 and <= {self.size_px}, the size that is drawn",
            )
        num = self.num_inference_steps
        if not any(self.guides(step / num) for step in range(num)):
            raise SettingError(
                "guidance_interval",
                f"got {list(self.guidance_interval)!r}; must hold the start of at least one of {num} steps. "
                "For no guidance set generator.guidance_scale to 1",
            )
        return self

    @property
    def scheduler_class(self) -> type | None:
        """The class to sample with, or None for the one in the model's folder.

        Raises:
            ConfigError: there is no such class, or it is no sampler.
        """
        target = self.scheduler.get("_target_")
        if target is None:
            return None
        module, _, name = str(target).rpartition(".")
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError):
            found = None
        if not _is_sampler(found):
            key = f"{self.section}.scheduler._target_"
            raise ConfigError(
                f"{key}: got {target!r}; must be a sampler of diffusers, such as diffusers.DDIMScheduler. "
                f"Set it in {file_of(key)}."
            )
        return found

    @property
    def scheduler_options(self) -> dict[str, Any]:
        """What differs from the scheduler's settings in the model's folder."""
        return {name: value for name, value in self.scheduler.items() if name != "_target_"}

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
        if self.dtype == AUTO_DTYPE:
            raise ValueError("dtype is auto: choose one first, with precision.with_dtype_chosen")
        target = self.scheduler.get("_target_")
        facts: dict[str, Any] = {
            "scheduler": str(target).rpartition(".")[2] if target is not None else None,
            "scheduler_options": self.scheduler_options,
            "num_inference_steps": self.num_inference_steps,
            "guidance_scale": self.guidance_scale if self.guided else 1.0,
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
        if self.noise != TORCH_NOISE:
            facts["noise"] = PHILOX
        return facts

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], images_per_caption: int) -> Self:
        """Returns the settings of which `facts_of_pixels` gives these facts, for one image at a time.

        Args:
            facts: more than these may be there, as in a generator's description. They may come from a foreign
                file: the sampler is a class of diffusers itself, and nothing else is imported.
            images_per_caption: to draw.

        Raises:
            KeyError: a fact is missing.
            GeneratorError: this release of diffusers has no such sampler, or the facts name something else.
        """
        start, end = facts.get("guidance_interval", WHOLE_RUN)
        return cls(
            guidance_scale=facts["guidance_scale"],
            num_inference_steps=facts["num_inference_steps"],
            images_per_caption=images_per_caption,
            size_px=facts["size_px"],
            scheduler={**facts["scheduler_options"], **_target_of(facts)},
            negative_prompt=facts["negative_prompt"],
            saved_size_px=facts["saved_size_px"],
            dtype=facts["dtype"],
            guidance_interval=(start, end),
            safety_checker=facts.get("safety_checker", False),
            compile=facts.get("compile", False),
            noise=facts.get("noise", TORCH_NOISE),
            batch_size=1,
        )


def _target_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """Returns the sampler's class as `GeneratorSettings.scheduler` names it; nothing where there is none."""
    import diffusers

    name, options = facts["scheduler"], facts["scheduler_options"]
    if "_target_" in options:
        raise GeneratorError(
            f"the sampler's options name the class {options['_target_']!r}; they must contain only values. "
            "The record was edited: take it from the image set with `stablerep show <image id>`."
        )
    if name is None:
        return {}
    if not _is_sampler(getattr(diffusers, str(name), None)):
        raise GeneratorError(
            f"sampler {name!r}: not a sampler of diffusers {diffusers.__version__}; must be the one that "
            "drew the image. Install the release that its record names."
        )
    return {"_target_": f"diffusers.{name}"}


def _is_sampler(found: object) -> bool:
    from diffusers import SchedulerMixin

    return isinstance(found, type) and issubclass(found, SchedulerMixin) and found is not SchedulerMixin
