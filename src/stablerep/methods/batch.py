"""What a training step holds: so many captions, so many images of each.

Every arm sees as many views a step: captions x images_per_caption. A method that takes another number of
views of a caption, such as SimCLR with two of one image, has as many captions as make up the same number.
"""

from dataclasses import dataclass

from stablerep.errors import ConfigError, check_range

_WHERE = "conf/params/training/<name>.yaml"


@dataclass(frozen=True)
class BatchSettings:
    """A step of training, over all processes.

    Attributes:
        captions: captions a step.
        images_per_caption: images of each, one view an image.
        chunk: views that the encoder takes at once, in two passes; None takes a process's all in one. The
            gradients are those of the whole batch either way.
    """

    captions: int
    images_per_caption: int
    chunk: int | None = None

    def __post_init__(self) -> None:
        """Checks ranges."""
        check_range("batch.captions", self.captions, 1, where=_WHERE)
        check_range("batch.images_per_caption", self.images_per_caption, 1, where=_WHERE)
        if self.chunk is not None:
            check_range("batch.chunk", self.chunk, 1, where=_WHERE)

    @property
    def num_views(self) -> int:
        """Views a step, of every arm."""
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
                f"batch.captions: got {self.captions}, with {self.images_per_caption} images of each "
                f"{self.num_views} views; views must be a multiple of {views_per_caption}, those of one "
                f"caption in {whose}, and hold at least two. Set batch.captions or "
                f"batch.images_per_caption in {_WHERE}."
            )
        return num
