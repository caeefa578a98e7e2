"""Settings of the two gates: the section `validation` of the configuration."""

from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from stablerep.nearest_name import must_be_one_of
from stablerep.settings import SettingError, Settings

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

    @model_validator(mode="after")
    def _check_types(self) -> Self:
        for table in ("captions", "terms", "term_pairs", "images", "images_of_captions", "real_images"):
            rules: Rules = getattr(self, table)
            known = [name for name, rule in rules.items() if rule is None or "type" in rule]
            for name in rules:
                if name not in known:  # a new rule, or one of another file with a typo in its name
                    raise SettingError(
                        f"{table}.{name}",
                        f"a rule without a type; {must_be_one_of(name, known)} A new one needs a type",
                    )
        return self
