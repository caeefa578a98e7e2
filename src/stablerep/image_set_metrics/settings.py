"""Settings of the comparison of image sets with a reference: the section `set_comparison`."""

from typing import ClassVar, Literal

from pydantic import Field

from stablerep.settings import Settings


class ReferenceSettings(Settings):
    """The real images that image sets are compared with."""

    section: ClassVar[str] = "set_comparison.reference"

    evaluation_set: str | None = Field(None, description="its name; null: the experiment's first one")
    # the test split is for the figures that an experiment states, once
    split: Literal["train", "validation"] = Field(
        "validation",
        description="validation: no generator and no arm has learned from its images",
    )


class SetComparisonSettings(Settings):
    """How image sets are compared."""

    section: ClassVar[str] = "set_comparison"

    reference: ReferenceSettings = Field(default_factory=ReferenceSettings)
    max_images: int = Field(
        1000,
        ge=10,
        description="measured in each image set; coverage and diversity grow with the number",
    )
    max_real_images: int = Field(
        4000, ge=10, description="of each split of an evaluation set: of the reference, and of the others"
    )
    min_images: int = Field(50, ge=2, description="smaller classes and terms are not measured")
