"""The numbers of the embedded scorer's training, as typed objects; docs/experiments.md has what was tried."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stablerep.errors import check_range
from stablerep.generation.pretraining.recipe import StageRecipe

_WHERE = "conf/params/scorer/<name>.yaml"


@dataclass(frozen=True)
class ClipArmSizes:
    """What it takes to build the scorer's networks.

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
            check_range(f"scorer_recipe.sizes.{name}", getattr(self, name), 1, where=_WHERE)


@dataclass(frozen=True)
class ScorerRecipe:
    """How the embedded scorer is trained.

    Attributes:
        sizes: of the networks.
        stage: how long and how fast.
        seed: of every draw.
        naming_probability: of each attribute, that a caption names it; None for the corpus's own.
        false_weight: weight of the false captions' part of the loss; 0 leaves it out.
        reading_weight: weight of the part in which classifiers read what captions name off the features; 0
            leaves it out.
    """

    sizes: ClipArmSizes
    stage: StageRecipe = field(default_factory=lambda: StageRecipe(num_images=160_000, batch_size=128))
    seed: int = 0
    naming_probability: float | None = None
    false_weight: float = 1.0
    reading_weight: float = 1.0

    def __post_init__(self) -> None:
        """Checks ranges."""
        if self.naming_probability is not None:
            check_range("scorer_recipe.naming_probability", self.naming_probability, 0.01, 1, where=_WHERE)
        check_range("scorer_recipe.false_weight", self.false_weight, 0, where=_WHERE)
        check_range("scorer_recipe.reading_weight", self.reading_weight, 0, where=_WHERE)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "ScorerRecipe":
        """Makes the recipe of plain values, as a configuration holds them."""
        parts = {"sizes": ClipArmSizes(**values["sizes"]), "stage": StageRecipe(**values["stage"])}
        return cls(**dict(values) | parts)
