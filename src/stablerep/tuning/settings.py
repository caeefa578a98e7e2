"""Settings of the guidance study: the section `tuning` of the configuration."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from stablerep.settings import SettingError, Settings, Values

# Between the ends of the range, the scales at which the prototype was measured: its best lay there.
_SCALES_OF_INTEREST = (3.0, 1.7, 5.0)


class TuningSettings(Settings):
    """A study of the guidance scale."""

    section: ClassVar[str] = "tuning"

    num_scales: int = Field(ge=1, le=1000, description="guidance scales to try, with those of earlier runs")
    low: float = Field(ge=1, le=100, description="lowest guidance scale; 1 is no guidance")
    high: float = Field(ge=1, le=100, description="highest guidance scale")
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Values] = Field(
        min_length=2, description="of training; each scale is tried with each, or its noise would be unknown"
    )
    num_inference_steps: Annotated[tuple[Annotated[int, Field(ge=1, le=1000)], ...], Values] = Field(
        (),
        description="of the sampler; each scale is tried with each, and the cost of an image is a second "
        "objective. Empty: generator.num_inference_steps alone, one objective",
    )
    num_captions: int = Field(
        ge=2, description="the first of the caption set; each trial draws them at its own scale"
    )
    images_per_caption: int = Field(ge=1)
    num_images: int = Field(ge=1, description="views that the encoder of each trial sees")

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.high < self.low:
            raise SettingError("high", f"got {self.high!r}; must be >= tuning.low = {self.low:g} and <= 100")
        for name in ("seeds", "num_inference_steps"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise SettingError(name, f"got {list(values)!r}; each value must occur only once")
        return self

    @property
    def first_scales(self) -> tuple[float, ...]:
        """The scales of the first trials, so that even a short study's curve covers the range."""
        inner = tuple(scale for scale in _SCALES_OF_INTEREST if self.low < scale < self.high)
        ends = (self.low, self.high) if self.high > self.low else (self.low,)
        return (ends + inner)[: self.num_scales]
