"""What all corpora of real images have in common: splits, labels, captions, the table of images, its faults.

A new one lists its images and says how their bytes are read; see `image_folder.py` for the shortest example.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from stablerep.corpora.corpus import WHERE, Corpus, Task, label_column, tasks_in
from stablerep.corpora.image_table import completed_listing, measure_images
from stablerep.corpora.label_captions import captions_from_labels, read_templates
from stablerep.corpora.labels import encode_labels
from stablerep.corpora.splits import (
    DEFAULT_SHARES,
    assign_splits,
    check_own_names,
    check_shares,
    normalised_splits,
)
from stablerep.corpora.table_faults import check_listing, check_shared, facts_of
from stablerep.curation.reading.engine import BATCH_SIZE, SCHEMA, UNKNOWN
from stablerep.curation.settings import Reading
from stablerep.errors import ConfigError, DataError, check_range

if TYPE_CHECKING:
    import polars as pl

    from stablerep.corpora.reading_in_place import ImageReader
    from stablerep.storage.pixels import Pixels


@dataclass(kw_only=True)
class RealImages(Corpus, ABC):
    """A corpus of real images.

    Attributes:
        name: in messages and as the source of its captions.
        mirrorable: whether a mirrored image shows the same.
        class_names: names of the classes, in the order of the labels' numbers; or label -> name, such as
            `{n01440764: tench}`. With several tasks: task -> one of the two. None takes what stands in the
            data.
        prompts: templates for zero-shot, `{}` standing for the class; with several tasks: task -> templates.
        caption_templates: of captions for images that have labels and no captions, such as `a photo of a
            {class}`, with a task's name in braces; or a text file with one per line. None writes none.
        split_names: what a split is called in the data -> train, validation or test. Usual names need none.
        split_shares: of the images, for splits that the data do not give.
        max_unreadable_share: of the images; unreadable ones are left out and counted.
        max_shared_share: of the test images that may be in train, too; of an evaluation set, also of its
            validation and test images that may be in the corpus's train split.
    """

    name: str = "real_images"
    mirrorable: bool = True
    class_names: Any = None
    prompts: Any = None
    caption_templates: list[str] | str | None = None
    split_names: dict[str, str] | None = None
    split_shares: dict[str, float] = field(default_factory=lambda: dict(DEFAULT_SHARES))
    max_unreadable_share: float = 0.01
    max_shared_share: float = 0.01

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            ConfigError: a share is not in [0, 1], or the splits' names or shares have a fault.
        """
        self.split_shares = check_shares(self.split_shares)
        check_own_names(self.split_names)
        check_range("corpus.max_unreadable_share", self.max_unreadable_share, 0, 1, where=WHERE)
        check_range("corpus.max_shared_share", self.max_shared_share, 0, 1, where=WHERE)

    @abstractmethod
    def _list_images(self) -> dict[str, Any]:
        """Returns the columns of a listing, see `image_table.completed_listing`.

        Splits and labels are as they stand in the data; the order is the same every time.

        Raises:
            DataError: there are no images, or what describes them has a fault.
        """

    @abstractmethod
    def _reader(self) -> "ImageReader":
        """Returns what reads the listed images' bytes."""

    def _class_names_in_data(self) -> dict[str, list[str]]:
        """Returns the names of classes, by task, where the data themselves hold them beside the labels."""
        return {}

    @cached_property
    def _listed(self) -> tuple[pd.DataFrame, dict[str, Task]]:
        """The listing with its final splits and labels, without faults; and the tasks."""
        table = completed_listing(self._list_images())
        given = normalised_splits(table["split"].tolist(), f"corpus {self.name!r}", self.split_names)
        splits, fixed = assign_splits(table["unit"].tolist(), given, self.split_shares)
        table["split"] = pd.Series(splits, dtype="str")
        table["split_given"] = fixed
        tasks = {}
        names_of = tasks_in(table)
        for name in names_of:
            class_names = self._for_task(self.class_names, name, names_of, "class_names")
            prompts = self._for_task(self.prompts, name, names_of, "prompts")
            labels = table[label_column(name)].tolist()
            tasks[name], table[label_column(name)] = encode_labels(
                name, labels, class_names or self._class_names_in_data().get(name), prompts
            )
        if self.caption_templates is not None:
            templates = read_templates(self.caption_templates)
            captions = captions_from_labels(table, tasks, templates)
            table["captions"] = pd.Series(captions, dtype=object)
        check_listing(table, tasks)
        return table, tasks

    def _for_task(self, setting: Any, task: str, tasks: list[str], key: str) -> Any:
        """Returns a task's part of a setting that may be given by task."""
        by_task = isinstance(setting, Mapping) and not all(isinstance(each, str) for each in setting.values())
        if by_task:
            unknown = sorted(set(setting) - set(tasks))
            if unknown:
                raise ConfigError(
                    f"corpus.{key}.{unknown[0]}: unknown task; the tasks are {', '.join(tasks)}. Set it in "
                    f"{WHERE}."
                )
            return setting.get(task)
        if setting is not None and len(tasks) > 1:
            raise ConfigError(
                f"corpus.{key} must be given by task ({', '.join(tasks)}), as there are several. Set it in "
                f"{WHERE}."
            )
        return setting

    def check(self) -> None:
        """Lists the images and looks for faults; reads no image.

        Raises:
            DataError: see `table_faults.check_listing`, and whatever keeps the images from being listed.
            ConfigError: the settings do not fit the data.
        """
        _ = self._listed

    def tasks(self) -> dict[str, Task]:
        """Returns the tasks by name; a single one is named `class`."""
        return dict(self._listed[1])

    def has_captions(self) -> bool:
        """Whether one of its images has a caption."""
        listing, _ = self._listed
        return any(text.strip() for texts in listing["captions"] for text in texts)

    def caption_batches(self, reading: Reading, batch_size: int = BATCH_SIZE) -> "Iterator[pl.DataFrame]":
        """Reads the captions of the images in train; those of validation and test stay unseen.

        Args:
            reading: source and licence of the captions; the source is the corpus's name where it gives none.
            batch_size: captions of a batch, at most.

        Yields:
            Tables of `stablerep.curation.reading.engine.SCHEMA`; `line` is the number of the image, from 1.

        Raises:
            ConfigError: no image has captions.
            DataError: no image in train has captions.
        """
        import polars as pl

        table = self._listed[0]
        if not table["captions"].map(len).any():
            self._refuse(
                "has no captions",
                "Name a caption column, put text beside the images, or have captions written from the labels "
                "by corpus.caption_templates.",
            )
        in_train = table[table["split"] == "train"]["captions"].explode().dropna()
        if in_train.empty:
            raise DataError(f"corpus {self.name!r}: no image in train has a caption. Add captions to train.")
        for start in range(0, len(in_train), batch_size):
            part = in_train.iloc[start : start + batch_size]
            columns = {
                "row": range(start, start + len(part)),
                "caption": part.tolist(),
                "source": [reading.source or self.name] * len(part),
                "licence": [reading.licence or UNKNOWN] * len(part),
                "line": (part.index + 1).tolist(),
                "fault": [None] * len(part),
            }
            yield pl.DataFrame(columns, schema=SCHEMA)

    def index(self, previous: pd.DataFrame | None = None) -> pd.DataFrame:
        """Returns the table of its images; reads each file once, those of an earlier table not again.

        Raises:
            DataError: too many images are unreadable, or too many of test are in train.
        """
        listing, _ = self._listed
        table = measure_images(listing, self._reader(), previous, self.max_unreadable_share)
        check_listing(table, self._listed[1])  # an unreadable image may have been the only one of its split
        check_shared(table, self.max_shared_share)
        return table

    def listing(self) -> pd.DataFrame:
        """Returns its images with their captions, splits and labels, without reading them."""
        return self._listed[0].copy()

    def pixels(self, table: pd.DataFrame) -> "Pixels":
        """Returns the images of these rows, read where they lie."""
        from stablerep.corpora.reading_in_place import ImagesInPlace

        return ImagesInPlace(self._reader(), table)

    def facts(self, table: pd.DataFrame) -> dict[str, Any]:
        """Returns what a report says of the table; see `table_faults.facts_of`."""
        return {"name": self.name, **facts_of(table, self._listed[1])}
