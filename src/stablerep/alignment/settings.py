"""Settings of the alignment scores, the policy on them, and the training of a scorer.

The sections `alignment` and `scorer` of the configuration.
"""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from stablerep.generation.pretraining.recipe import StageRecipe
from stablerep.settings import SettingError, Settings, Target

DROP, REMAKE = "drop", "remake"


class AlignmentPolicy(Settings):
    """Which images are rejected for their score, and what happens to them."""

    section: ClassVar[str] = "alignment.policy"

    min_alignment: float | None = Field(
        None, ge=-1, le=1, description="cosine below which an image is rejected; null for no bound"
    )
    # above a half, more than the worst images are rejected
    drop_share: float = Field(
        0.0, ge=0, le=0.5, description="share of the first-drawn images, the worst of all, that is rejected"
    )
    on_reject: Literal["drop", "remake"] = Field(
        "drop", description="remake draws rejected images again with further seeds"
    )
    max_remakes: int = Field(0, ge=0, le=100, description="further images of a caption, at most")

    @model_validator(mode="after")
    def _check_remakes(self) -> Self:
        if self.on_reject == REMAKE and self.max_remakes < 1:
            raise SettingError(
                "max_remakes",
                f"got {self.max_remakes!r}; must be >= 1 and <= 100 where on_reject is {REMAKE}",
            )
        if self.on_reject == DROP and self.max_remakes:
            raise SettingError(
                "max_remakes", f"got {self.max_remakes!r}; must be 0 where on_reject is {DROP}"
            )
        return self

    @property
    def remakes(self) -> bool:
        """Whether rejected images are drawn again."""
        return self.on_reject == REMAKE

    @property
    def rejects(self) -> bool:
        """Whether any image can be rejected for its score."""
        return self.min_alignment is not None or self.drop_share > 0


class AlignmentSettings(Settings):
    """The image-text model that scores images, and the policy on the scores."""

    section: ClassVar[str] = "alignment"

    policy: AlignmentPolicy
    scorer: Target | None = Field(None, description="the class and its arguments; null scores nothing")
    usual_min: float = Field(
        -1.0, ge=-1, le=1, description="the image gate warns where over 5 % of the accepted images are below"
    )

    @model_validator(mode="after")
    def _check_scorer(self) -> Self:
        if self.scorer is None and self.policy.rejects:
            raise SettingError(
                "scorer",
                "got null; must name a class where alignment.policy rejects images for their scores. Choose "
                "alignment=<name>, or set min_alignment to null and drop_share to 0.",
            )
        return self


class ClipArmSizes(Settings):
    """What it takes to build the scorer's networks."""

    section: ClassVar[str] = "scorer.sizes"

    encoder: Target = Field(description="as `stablerep.models.encoders.build_encoder` takes it")
    width: int = Field(64, ge=1, description="of the text transformer")
    num_layers: int = Field(2, ge=1, description="of the text transformer")
    num_heads: int = Field(2, ge=1, description="of its attention")
    out_dim: int = Field(64, ge=1, description="D, of image and text embeddings")


class ScorerRecipe(Settings):
    """How a scorer of the project's own is trained."""

    section: ClassVar[str] = "scorer"

    sizes: ClipArmSizes
    training: Target = Field(
        description="the images and the loss that it learns from; `train(recipe, work, target)` returns the "
        "seconds of training and leaves the scorer in the folder `target`"
    )
    card: Target = Field(description="measures the scorer and writes its model card")
    stage: StageRecipe = Field(
        default_factory=lambda: StageRecipe(num_images=160_000, batch_size=128),
        description="how long and how fast",
    )
    seed: int = Field(0, ge=0, description="of every draw")
