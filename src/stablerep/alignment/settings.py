"""The settings of alignment, typed and checked: the policy on misaligned images, and a scorer's training.

They stand in the parts `scoring.policy` and `scorer_recipe` of the configuration.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stablerep.errors import ConfigError, check_range
from stablerep.generation.pretraining.recipe import StageRecipe

_WHERE = "conf/params/alignment/<name>.yaml"
_WHERE_SCORER = "conf/params/scorer/<name>.yaml"
DROP, REMAKE = "drop", "remake"


@dataclass(frozen=True)
class AlignmentPolicy:
    """Which images are rejected for their score, and what becomes of them.

    Attributes:
        min_alignment: images below are rejected; None for no bound.
        drop_share: this share of the first-drawn images, the worst over all captions, is rejected too.
        on_reject: `drop`, or `remake`: drawn again with further seeds.
        max_remakes: further images of a caption, at most.
    """

    min_alignment: float | None = None
    drop_share: float = 0.0
    on_reject: str = DROP
    max_remakes: int = 0

    def __post_init__(self) -> None:
        """Checks ranges and what must fit together.

        Raises:
            ConfigError: a value is out of range, or would be ignored.
        """
        if self.min_alignment is not None:
            check_range("scoring.policy.min_alignment", self.min_alignment, -1, 1, where=_WHERE)
        # above a half it is no longer the worst that go
        check_range("scoring.policy.drop_share", self.drop_share, 0, 0.5, where=_WHERE)
        if self.on_reject not in (DROP, REMAKE):
            raise ConfigError(
                f"scoring.policy.on_reject: got {self.on_reject!r}; must be {DROP} or {REMAKE}. "
                f"Set it in {_WHERE}."
            )
        if self.on_reject == REMAKE:
            check_range("scoring.policy.max_remakes", self.max_remakes, 1, 100, where=_WHERE)
        elif self.max_remakes:
            raise ConfigError(
                f"scoring.policy.max_remakes: got {self.max_remakes}; must be 0 where on_reject is {DROP}. "
                f"Set on_reject to {REMAKE}, or max_remakes to 0, in {_WHERE}."
            )

    @property
    def remakes(self) -> bool:
        """Whether rejected images are drawn again."""
        return self.on_reject == REMAKE

    @property
    def rejects(self) -> bool:
        """Whether any image can be rejected for its score."""
        return self.min_alignment is not None or self.drop_share > 0


@dataclass(frozen=True)
class ClipArmSizes:
    """The sizes of a scorer's networks.

    Attributes:
        encoder: as `stablerep.models.encoders.build_encoder` takes it.
        width: of the text transformer.
        num_layers: of it.
        num_heads: of its attention.
        out_dim: D.
    """

    encoder: dict[str, Any]
    width: int = 64
    num_layers: int = 2
    num_heads: int = 2
    out_dim: int = 64

    def __post_init__(self) -> None:
        """Checks ranges."""
        for name in ("width", "num_layers", "num_heads", "out_dim"):
            check_range(f"scorer_recipe.sizes.{name}", getattr(self, name), 1, where=_WHERE_SCORER)


@dataclass(frozen=True)
class ScorerRecipe:
    """How a scorer of the project's own is trained.

    Attributes:
        sizes: of the networks.
        training: `_target_` and arguments of the images and the loss that it learns from. Such a class has a
            method `train(recipe, work, target)` that returns the seconds of training and leaves the scorer in
            the folder `target`, see `stablerep.alignment.clip_arm`.
        stage: how long and how fast.
        seed: of every draw.
    """

    sizes: ClipArmSizes
    training: dict[str, Any]
    stage: StageRecipe = field(default_factory=lambda: StageRecipe(num_images=160_000, batch_size=128))
    seed: int = 0

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "ScorerRecipe":
        """Makes the recipe of plain values, as a configuration holds them."""
        parts = {"sizes": ClipArmSizes(**values["sizes"]), "stage": StageRecipe(**values["stage"])}
        return cls(**dict(values) | parts)
