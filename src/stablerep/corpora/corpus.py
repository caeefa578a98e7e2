"""What an experiment is about: the one object that gives captions, real images, labels and splits.

Named by `_target_` in `conf/params/corpus/<name>.yaml`. The other rooms ask only what stands here, and
nothing outside a corpus's own module knows what its images show.

Legend: I images, each (3, H, W) uint8; T texts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from stablerep.corpora.class_names import classes_named
from stablerep.curation.reading.engine import BATCH_SIZE
from stablerep.curation.settings import Reading
from stablerep.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from torch import Tensor

    from stablerep.storage.pixels import Pixels

SPLITS = ("train", "validation", "test")
WHERE = "conf/params/corpus/<name>.yaml"
# the columns of an image table, and `label.<task>` for each task; the types: validation.schemas.CorpusImages
IMAGE_COLUMNS = (
    "key",  # the image's name, unique
    "path",  # file, relative to the corpus's folder where it has one; or the split of a data set by name
    "offset",  # bytes from the file's start; -1: the image is the whole file, or stands in a row
    "size_bytes",  # of the image as it is stored; -1: only its container is known
    "row",  # in a Parquet file or a data set; -1: none
    "file_bytes",  # of the whole file; -1: not a file
    "mtime_ns",  # of the file; -1: not a file
    "digest",  # stablerep.storage.shards.digest_of the stored bytes
    "captions",  # texts, may be empty
    "split",  # one of SPLITS
    "split_given",  # False where a hash of the unit chose the split
    "unit",  # statistical unit: images of one unit are not independent; by default the key
    "width_px",  # after the EXIF orientation
    "height_px",
)
UNKNOWN_LABEL = -1
_LABEL = "label."


def label_column(task: str) -> str:
    """Returns the name of a task's column in an image table."""
    return _LABEL + task


def tasks_in(table: "pd.DataFrame") -> list[str]:
    """Returns the names of the tasks that a table has a column of."""
    return [str(name).removeprefix(_LABEL) for name in table if str(name).startswith(_LABEL)]


@dataclass(frozen=True)
class Task:
    """A question about an image whose answer is one of some classes.

    Attributes:
        name: such as `class`.
        classes: their names; a label is an index into them.
        prompts: templates of what a text tower is given of a class, `{}` standing for its name.
    """

    name: str
    classes: tuple[str, ...]
    prompts: tuple[str, ...] = ("a photo of a {}.",)

    def __post_init__(self) -> None:
        """Checks the names and prompts.

        Raises:
            ConfigError: a class is there twice, there are no prompts, or a prompt has no `{}`.
        """
        if len(set(self.classes)) < len(self.classes):
            twice = sorted({name for name in self.classes if self.classes.count(name) > 1})
            raise ConfigError(
                f"corpus: task {self.name!r} has more than one class named "
                f"{', '.join(map(repr, twice[:3]))}; names must differ. Set class_names in {WHERE}."
            )
        if not self.prompts or not all("{}" in prompt for prompt in self.prompts):
            raise ConfigError(
                f"corpus: the prompts of task {self.name!r} are {list(self.prompts)}; each must hold {{}} in "
                f"the class's place. Set prompts in {WHERE}."
            )


@dataclass(frozen=True)
class Rendered:
    """Images that a corpus drew of captions.

    Attributes:
        pixels: (I, 3, H, W) uint8; the images of one caption stand next to each other.
        labels: task -> (I,) int64.
    """

    pixels: "Tensor"
    labels: dict[str, "Tensor"]


class Corpus:
    """What an experiment is about. What a corpus does not override raises ConfigError with the reason.

    Attributes:
        name: as it stands in messages and as the source of captions.
        mirrorable: whether a mirrored image shows the same; text does not.
        can_render: whether `render` draws what a caption says.
        max_shared_share: of the test images that may be trained on, too; None where this is not checked.
    """

    name: str = "corpus"
    mirrorable: bool = True
    can_render: bool = False
    max_shared_share: float | None = None

    def inputs(self) -> list[str]:
        """Returns the paths and globs that it reads, as messages name them."""
        return []

    def check(self) -> None:
        """Looks at what it reads, before a run.

        Raises:
            DataError: a file is missing, empty, or not as the settings say.
            ConfigError: the settings contradict each other.
        """

    def check_captions(self, reading: Reading) -> None:
        """Looks at its captions files, before a run; none of their captions is read.

        Args:
            reading: how they are read.

        Raises:
            DataError: there is none.
            ConfigError: the format of a file is not known.
        """

    def tasks(self) -> dict[str, Task]:
        """Returns its tasks by name; none where it has no labels."""
        return {}

    def has_captions(self) -> bool:
        """Whether it has captions: of its own, or of its images."""
        return type(self).caption_batches is not Corpus.caption_batches

    def has_images(self) -> bool:
        """Whether it has real images of its own."""
        return type(self).index is not Corpus.index

    def caption_batches(self, reading: Reading, batch_size: int = BATCH_SIZE) -> "Iterator[pl.DataFrame]":
        """Reads its captions.

        Args:
            reading: how captions files are read; of the other corpora it gives source and licence.
            batch_size: captions of a batch, at most.

        Yields:
            Tables of `stablerep.curation.reading.engine.SCHEMA`.

        Raises:
            ConfigError: it has no captions.
        """
        self._refuse("has no captions", "Choose a corpus with captions, or corpus=captions.")

    def count_captions(self, reading: Reading, enough: int) -> int:
        """Counts captions without a fault; stops where `enough` are found."""
        number = 0
        for batch in self.caption_batches(reading, min(BATCH_SIZE, max(1, enough))):
            number += batch["fault"].null_count()
            if number >= enough:
                break
        return number

    def index(self, previous: "pd.DataFrame | None" = None) -> "pd.DataFrame | None":
        """Returns the table of its real images (`IMAGE_COLUMNS`); None where it has none.

        Args:
            previous: an earlier table: files whose size and time are still the same are not read again.

        Raises:
            DataError: too many images are unreadable, or splits and labels have a fault.
        """
        del previous
        return None

    def listing(self) -> "pd.DataFrame | None":
        """Returns its real images with their captions, splits and labels, without reading them.

        The columns are those of `index` that do not follow from the bytes. None where the images are not
        known before they are read or drawn.
        """
        return None

    def pixels(self, table: "pd.DataFrame") -> "Pixels":
        """Returns the images of these rows of its table, read where they lie, each in its own size."""
        self._refuse("has no real images", "Choose a corpus with images, or only generated image sets.")

    def facts(self, table: "pd.DataFrame") -> dict[str, Any]:
        """Returns what a report says of the table of its images."""
        self._refuse("has no real images", "Choose a corpus with images, or only generated image sets.")

    def render(self, texts: Sequence[str], images_per_caption: int, name: str, seed: int) -> Rendered:
        """Draws images of captions.

        The images of a caption depend on its text, their number, the name and the seed alone, not on the
        other captions: a part of a set is rendered again without the rest.

        Args:
            texts: T captions.
            images_per_caption: of each.
            name: of the image set; sets of two names get different images.
            seed: of the experiment.

        Raises:
            ConfigError: it cannot draw.
            DataError: it cannot draw these captions.
        """
        self._refuse("cannot render captions", "Use generated images instead, or another corpus.")

    def check_renderable(self, texts: Sequence[str]) -> None:
        """Looks at captions before images are made: those that `render` would refuse.

        Args:
            texts: T captions.

        Raises:
            DataError: it cannot draw these captions.
        """

    def labels_of(self, texts: Sequence[str]) -> dict[str, list[int | None]]:
        """Finds what captions say of the classes of each task.

        Args:
            texts: T captions.

        Returns:
            Task -> T labels; None where a text names none of the classes, or more than one.
        """
        return {name: classes_named(texts, task.classes) for name, task in self.tasks().items()}

    def _refuse(self, fault: str, advice: str) -> NoReturn:
        raise ConfigError(f"corpus {self.name!r} {fault}. {advice}")


def share_naming_classes(texts: Sequence[str], task: Task) -> float:
    """Returns the share of texts that name exactly one class of the task; 0 where there are no texts."""
    found = classes_named(texts, task.classes)
    return sum(label is not None for label in found) / max(1, len(found))
