"""The settings of the guidance study, typed and checked."""

from dataclasses import dataclass

from stablerep.errors import check_range

_WHERE = "conf/params/tuning/<name>.yaml"

# Between the ends of the range, the scales at which the prototype was measured: its best lay there.
_SCALES_OF_INTEREST = (3.0, 1.7, 5.0)


@dataclass(frozen=True)
class StudySettings:
    """A study of the guidance scale.

    Attributes:
        num_trials: trials in all, those of earlier sittings counted.
        low: lowest scale.
        high: highest scale.
        num_captions: the first captions of the caption set; each trial draws them anew at its scale.
        images_per_caption: images of each.
        num_images: views that each trial's encoder sees.
        seed: of the search and of the trials' training.
    """

    num_trials: int
    low: float
    high: float
    num_captions: int
    images_per_caption: int
    num_images: int
    seed: int

    def __post_init__(self) -> None:
        """Checks ranges."""
        check_range("study.low", self.low, 0, where=_WHERE)
        check_range("study.high", self.high, self.low, 100, where=_WHERE)
        for name in ("num_trials", "num_captions", "images_per_caption", "num_images"):
            check_range(f"study.{name}", getattr(self, name), 1, where=_WHERE)

    @property
    def first_scales(self) -> tuple[float, ...]:
        """The scales of the first trials, so that even a short study's curve covers the range."""
        inner = tuple(scale for scale in _SCALES_OF_INTEREST if self.low < scale < self.high)
        ends = (self.low, self.high) if self.high > self.low else (self.low,)
        return ends + inner
