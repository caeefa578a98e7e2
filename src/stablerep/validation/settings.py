"""Settings of the two gates: the section `validation` of the configuration."""

from typing import Any, ClassVar

from pydantic import Field

from stablerep.settings import Settings

# Rules by name, as `stablerep.validation.rules` reads them; null removes one that another file gave.
Rules = dict[str, dict[str, Any] | None]


class ValidationSettings(Settings):
    """The rules of the two gates; see `stablerep.validation.gate`."""

    section: ClassVar[str] = "validation"

    groups: dict[str, dict[str, list[str]]] = Field(
        description="group -> term -> its words; the caption gate looks at their coverage and bias"
    )
    captions: Rules = Field(description="on the caption set, one row per caption")
    terms: Rules = Field(description="on the terms of the groups, one row per term")
    term_pairs: Rules = Field(description="on pairs of terms of two groups, one row per pair")
    images: Rules = Field(description="on the image set, one row per image")
    images_of_captions: Rules = Field(description="on the images of each caption, one row per caption")
    real_images: Rules = Field(description="on the images of a set that is not generated, one row per image")
