"""Settings of the guidance study: the section `tuning` of the configuration."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from stablerep.settings import SettingError, Settings

# Between the ends of the range, the scales at which the prototype was measured: its best lay there.
_SCALES_OF_INTEREST = (3.0, 1.7, 5.0)


class TuningSettings(Settings):
    """A study of the guidance scale."""

    section: ClassVar[str] = "tuning"

    num_trials: int = Field(ge=1, description="in all, including those of earlier runs")
    low: float = Field(ge=0, le=100, description="lowest guidance scale")
    high: float = Field(ge=0, le=100, description="highest guidance scale")
    num_captions: int = Field(
        ge=2, description="the first of the caption set; each trial draws them at its own scale"
    )
    images_per_caption: int = Field(ge=1)
    num_images: int = Field(ge=1, description="views that the encoder of each trial sees")
    seed: int = Field(ge=0, description="of the search and of the trials' training")

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.high < self.low:
            raise SettingError("high", f"got {self.high!r}; must be >= tuning.low = {self.low:g} and <= 100")
        return self

    @property
    def first_scales(self) -> tuple[float, ...]:
        """The scales of the first trials, so that even a short study's curve covers the range."""
        inner = tuple(scale for scale in _SCALES_OF_INTEREST if self.low < scale < self.high)
        ends = (self.low, self.high) if self.high > self.low else (self.low,)
        return ends + inner
