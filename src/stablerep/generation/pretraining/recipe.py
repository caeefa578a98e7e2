"""The recipe of the embedded generator: the section `pretraining` of the configuration.

Sizes and rates start from the prototype's measurements; docs/experiments.md has what was tried since.
"""

from typing import ClassVar

from pydantic import Field

from stablerep.settings import Settings, Target


class StageRecipe(Settings):
    """How one network is trained."""

    section: ClassVar[str] = "pretraining"

    num_images: int = Field(ge=1, description="images seen in all, over every process")
    batch_size: int = Field(ge=1, description="images per step, over every process")
    learning_rate: float = Field(1e-3, ge=0, le=100, description="peak, after warmup_steps")
    warmup_steps: int = Field(100, ge=0, description="of a linear rise of the learning rate")
    decay_from: float = Field(
        0.5, ge=0, le=1, description="share of the steps after which the rate falls to zero, as a half cosine"
    )
    weight_decay: float = Field(0.01, ge=0, le=100, description="of AdamW")
    max_grad_norm: float = Field(1.0, ge=1e-9, description="to which gradients are scaled down")
    ema_decay: float = Field(0.0, ge=0, le=1, description="of the moving average of the weights; 0 for none")
    checkpoint_every_s: float = Field(60.0, ge=0, description="seconds between two checkpoints")
    compile_network: bool = Field(
        False, description="torch.compile; needs a C++ compiler and a minute or two"
    )

    @property
    def num_steps(self) -> int:
        """Steps of the whole stage."""
        return max(1, self.num_images // self.batch_size)


class PretrainingRecipe(Settings):
    """The whole recipe."""

    section: ClassVar[str] = "pretraining"

    images: Target = Field(
        description="the training images, see `stablerep.generation.pretraining.captioned_pixels`"
    )
    card: Target = Field(description="measures the generator and writes its model card")
    seed: int = Field(0, ge=0, description="of every draw")
    max_tokens: int = Field(
        16, ge=3, description="of a caption, start and end included; longer captions are cut"
    )
    num_processes: int = Field(
        1, ge=1, le=256, description="one per GPU; on a CPU they share its cores, and one is the fastest"
    )
    pool_size: int = Field(
        65_536,
        ge=1,
        description="images, encoded once for the denoiser; captions are drawn each time",
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
