"""The numbers of the pretraining recipe, as typed objects.

Sizes and rates start from the prototype's measurements; docs/experiments.md has what was tried since.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stablerep.errors import check_range


@dataclass(frozen=True)
class StageRecipe:
    """How one network is trained.

    Attributes:
        num_images: images seen in all, over every process.
        batch_size: images a step, over every process.
        learning_rate: peak, after `warmup_steps`.
        warmup_steps: linear rise of the learning rate.
        decay_from: share of the steps after which the rate falls to zero, along a half cosine.
        weight_decay: of AdamW.
        max_grad_norm: gradients are scaled down to this norm.
        ema_decay: of the exponential moving average of the weights; 0 keeps none.
        checkpoint_every_s: seconds between checkpoints.
        compile_network: whether torch.compile is used; needs a C++ compiler and a minute or two.
    """

    num_images: int
    batch_size: int
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    decay_from: float = 0.5
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    ema_decay: float = 0.0
    checkpoint_every_s: float = 60.0
    compile_network: bool = False

    def __post_init__(self) -> None:
        """Checks ranges."""
        check_range("pretraining.num_images", self.num_images, 1)
        check_range("pretraining.batch_size", self.batch_size, 1)
        check_range("pretraining.decay_from", self.decay_from, 0, 1)

    @property
    def num_steps(self) -> int:
        """Steps of the whole stage."""
        return max(1, self.num_images // self.batch_size)


@dataclass(frozen=True)
class PretrainingRecipe:
    """The whole recipe.

    Attributes:
        images: `_target_` and arguments of the training images, see
            `stablerep.generation.pretraining.captioned_pixels`.
        seed: of every draw.
        max_tokens: of a caption, start and end included; longer captions are cut.
        pool_size: images that are encoded once for the denoiser; their captions are drawn again each time.
        caption_dropout: share of captions replaced by the empty one, for classifier-free guidance.
        kl_weight: of the autoencoder's latent prior.
        autoencoder: its stage.
        denoiser: its stage.
    """

    images: dict[str, Any]
    seed: int = 0
    max_tokens: int = 16
    pool_size: int = 65_536
    caption_dropout: float = 0.1
    kl_weight: float = 1e-6
    autoencoder: StageRecipe = field(default_factory=lambda: StageRecipe(num_images=64_000, batch_size=16))
    denoiser: StageRecipe = field(
        default_factory=lambda: StageRecipe(
            num_images=480_000, batch_size=64, warmup_steps=200, ema_decay=0.999
        )
    )

    def __post_init__(self) -> None:
        """Checks ranges."""
        check_range("pretraining.caption_dropout", self.caption_dropout, 0, 1)
        check_range("pretraining.pool_size", self.pool_size, 1)
        check_range("pretraining.max_tokens", self.max_tokens, 3)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "PretrainingRecipe":
        """Makes the recipe of plain values, as a configuration or a JSON file holds them."""
        stages = {name: StageRecipe(**values[name]) for name in ("autoencoder", "denoiser")}
        return cls(**dict(values) | stages)
