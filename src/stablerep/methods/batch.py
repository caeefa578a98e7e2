"""What a training step holds: a number of captions, and a number of images of each.

Every arm sees the same number of views per step: captions x images_per_caption. A method that takes another
number of views of a caption, such as SimCLR with two of one image, takes as many captions as give it.
"""

from typing import ClassVar

from pydantic import Field

from stablerep.errors import ConfigError
from stablerep.settings import Settings, file_of


class BatchSettings(Settings):
    """A step of training, over all processes."""

    section: ClassVar[str] = "training.batch"

    captions: int = Field(ge=1, description="captions per step")
    images_per_caption: int = Field(ge=1, description="images of each caption, one view per image")
    # the gradients are those of the whole batch either way
    chunk: int | None = Field(
        None, ge=1, description="views that the encoder takes at once, in two passes; null takes all in one"
    )

    @property
    def num_views(self) -> int:
        """Views per step, of every arm."""
        return self.captions * self.images_per_caption

    def captions_of(self, views_per_caption: int, whose: str) -> int:
        """Returns how many captions make up the views of a step.

        Args:
            views_per_caption: that a method takes, of all its images of a caption.
            whose: the arm, for the message.

        Raises:
            ConfigError: the views are not those of whole captions, or of one alone, which has no negatives.
        """
        num, rest = divmod(self.num_views, views_per_caption)
        if rest or num < 2:
            raise ConfigError(
                f"{self.section}.captions: got {self.captions}, with {self.images_per_caption} images of "
                f"each, {self.num_views} views; views must be a multiple of {views_per_caption}, those of "
                f"one "
                f"caption in {whose}, and hold at least two. Set {self.section}.captions or "
                f"{self.section}.images_per_caption in {file_of(self.section)}."
            )
        return num
