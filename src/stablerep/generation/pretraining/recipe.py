"""The recipe of a generator: the section `pretraining` of the configuration.

The defaults are those of the embedded generator; docs/experiments.md has what was tried.
"""

import re
from itertools import compress
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stablerep.settings import SettingError, Settings, Target, Values

# models of other kinds have folders beside it
_NAME = re.compile(r"([A-Za-z0-9_-]+_)?generator")
_GROUPS = 8  # of the networks' group normalisation, which splits channels evenly
_Channels = Annotated[int, Field(ge=_GROUPS, le=4096, multiple_of=_GROUPS)]


class StageRecipe(Settings):
    """How one network is trained."""

    section: ClassVar[str] = "pretraining"

    num_images: int = Field(ge=1, description="images seen in all, over every process")
    max_seconds: float | None = Field(
        None,
        gt=0,
        description="of training, over all runs: the stage ends then, however many images it has seen, and "
        "the learning rate falls by time where time is what ends it; null: no limit",
    )
    batch_size: int = Field(ge=1, description="images per step, over every process")
    learning_rate: float = Field(1e-3, ge=0, le=100, description="peak, after warmup_steps")
    warmup_steps: int = Field(100, ge=0, description="of a linear rise of the learning rate")
    decay_from: float = Field(
        0.5, ge=0, le=1, description="share of the stage after which the rate falls to zero, as a half cosine"
    )
    weight_decay: float = Field(0.01, ge=0, le=100, description="of AdamW")
    max_grad_norm: float = Field(1.0, ge=1e-9, description="to which gradients are scaled down")
    ema_decay: float = Field(0.0, ge=0, le=1, description="of the moving average of the weights; 0 for none")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="of products of matrices and of convolutions; weights, sums and losses stay in float32. "
        "bfloat16 is for GPUs that multiply it",
    )
    checkpoint_every_s: float = Field(60.0, ge=0, description="seconds between two checkpoints")
    compile_network: bool = Field(
        False, description="torch.compile; needs a C++ compiler and a minute or two"
    )

    @property
    def num_steps(self) -> int:
        """Steps of the whole stage."""
        return max(1, self.num_images // self.batch_size)


class LatentSizes(Settings):
    """The autoencoder's sizes; not used in pixel space. The defaults: 32x32 pixels to 4x8x8 latents."""

    section: ClassVar[str] = "pretraining.latents"

    channels: Annotated[tuple[_Channels, ...], Values] = Field(
        (32, 32, 64), min_length=1, description="by level; each level after the first halves the sides"
    )
    layers_per_block: int = Field(1, ge=1, le=16)
    num_channels: int = Field(4, ge=1, le=64, description="of the latents")


class UnetSizes(Settings):
    """The denoiser's sizes. The defaults: 3.98 M parameters, attention to the caption at the second level."""

    section: ClassVar[str] = "pretraining.unet"

    channels: Annotated[tuple[_Channels, ...], Values] = Field(
        (64, 128), min_length=1, description="by level; each level after the first halves the sides"
    )
    attention: Annotated[tuple[bool, ...], Values] = Field(
        (False, True), description="by level: whether it attends to the caption and to the whole image"
    )
    layers_per_block: int = Field(1, ge=1, le=16)
    num_heads: int = Field(4, ge=1, le=64, description="of attention")

    @model_validator(mode="after")
    def _check_levels(self) -> Self:
        if len(self.attention) != len(self.channels):
            raise SettingError(
                "attention",
                f"got {list(self.attention)}; must have one value for each of the {len(self.channels)} "
                "levels of channels",
            )
        # between its two halves the UNet attends in any case
        attends = (*self.attention[:-1], True)
        if any(width % self.num_heads for width in compress(self.channels, attends)):
            raise SettingError(
                "num_heads",
                f"got {self.num_heads}; must divide the channels of the last level and of each level with "
                "attention",
            )
        return self


class TextSizes(Settings):
    """The text encoder's sizes."""

    section: ClassVar[str] = "pretraining.text"

    width: int = Field(128, ge=8, le=4096)
    num_layers: int = Field(2, ge=1, le=48)
    num_heads: int = Field(4, ge=1, le=64)

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.width % self.num_heads:
            raise SettingError("num_heads", f"got {self.num_heads}; must divide width, {self.width}")
        return self


def _named_generator(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise SettingError(
            "", f"got {name!r}; must be generator, or letters, 0 to 9, _ and - that end in _generator"
        )
    return name


class PretrainingRecipe(Settings):
    """The whole recipe."""

    section: ClassVar[str] = "pretraining"

    name: Annotated[str, AfterValidator(_named_generator)] = Field(
        "generator",
        description="of the generator's folder in data/06_models: `generator`, the embedded one, or "
        "`<...>_generator`",
    )
    images: Target = Field(
        description="the training images, see `stablerep.generation.pretraining.captioned_pixels`"
    )
    card: Target = Field(description="measures the generator and writes its model card")
    seed: int = Field(0, ge=0, description="of every draw")
    space: Literal["latent", "pixel"] = Field(
        "latent", description="what the denoiser works on: an autoencoder's latents, or the pixels"
    )
    latents: LatentSizes = Field(default_factory=LatentSizes)
    unet: UnetSizes = Field(default_factory=UnetSizes)
    text: TextSizes = Field(default_factory=TextSizes)
    max_tokens: int = Field(
        16, ge=3, description="of a caption, start and end included; longer captions are cut"
    )
    num_processes: int = Field(
        1, ge=1, le=256, description="one per GPU; on a CPU they share its cores, and one is the fastest"
    )
    pool_size: int = Field(
        65_536,
        ge=1,
        description="images of an endless stream that the denoiser learns from; of a corpus's images it "
        "learns from all",
    )
    captions_per_image: int = Field(
        8,
        ge=1,
        description="drawn for each image of a stream, of which each step takes one; a corpus's images keep "
        "theirs",
    )
    caption_dropout: float = Field(
        0.1, ge=0, le=1, description="share of empty captions, for classifier-free guidance"
    )
    kl_weight: float = Field(1e-6, ge=0, description="of the autoencoder's latent prior")
    autoencoder: StageRecipe = Field(default_factory=lambda: StageRecipe(num_images=64_000, batch_size=16))
    denoiser: StageRecipe = Field(
        default_factory=lambda: StageRecipe(
            num_images=480_000, batch_size=64, warmup_steps=200, ema_decay=0.999
        )
    )

    @property
    def size_step_px(self) -> int:
        """What the side of the images must be a multiple of: the networks halve it that often."""
        in_latents = len(self.latents.channels) - 1 if self.space == "latent" else 0
        return 2 ** (in_latents + len(self.unet.channels) - 1)
