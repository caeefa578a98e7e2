"""The embedded corpus as the other rooms see it: captions that it can render, and labelled evaluation images.

Protocol: `stablerep.corpora.corpus.Corpus`. Both classes are named by `_target_` in the configuration.
Legend: I images, T texts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from typing import TYPE_CHECKING, Any, ClassVar

from stablerep.corpora.corpus import SPLITS, WHERE, Corpus, Rendered, Task, label_column
from stablerep.corpora.splits import uniform_of
from stablerep.curation.reading.engine import BATCH_SIZE, CaptionFiles
from stablerep.curation.settings import Reading
from stablerep.digit_scenes.foreign_captions import (
    attributes_named,
    check_captions_tell_of_digits,
    warn_of_unknown_words,
)
from stablerep.digit_scenes.grammar import VOCABULARIES, leave_digit_open
from stablerep.digit_scenes.styles import HARD, USUAL, Style
from stablerep.errors import DataError, check_range

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from stablerep.digit_scenes.scene_pixels import ScenePixels
    from stablerep.digit_scenes.scenes import Scenes

_PROMPTS = {
    "digit": ("a {}", "a handwritten {}"),
    "ink": ("a digit in {} ink",),
    "ground": ("a digit on a {} background",),
    "texture": ("a digit on a {} background",),
}
_NONE = -1  # in columns of an image table that describe files


def scene_tasks() -> dict[str, Task]:
    """Returns a task for each attribute of a scene, the digit first."""
    return {name: Task(name, words, _PROMPTS[name]) for name, words in VOCABULARIES.items()}


@dataclass
class DigitScenes(Corpus):
    """Captions of digit scenes, and real scenes rendered as captions say: a perfect generator.

    Attributes:
        path: of the captions file, or a glob.
        open_share: share of the captions, chosen by a hash of their text, that are read with "digit" in the
            place of the digit that they name. At 0.5 half of the captions do not say which class is probed,
            so that methods that read text have no advantage.
    """

    path: str
    open_share: float = 0.0

    name = "digit_scenes"
    mirrorable = False  # a mirrored two is no two
    can_render = True

    def __post_init__(self) -> None:
        """Checks the share; raises ConfigError."""
        check_range("corpus.open_share", self.open_share, 0, 1)

    def inputs(self) -> list[str]:
        """Returns the captions file."""
        return [self.path]

    def check(self) -> None:
        """Looks for the captions file.

        Raises:
            DataError: there is none.
        """
        if not glob(self.path, recursive=True):
            raise DataError(
                f"corpus.path is {self.path}, where there is no file. Write the captions of the digit scenes "
                f"with `python -m stablerep.digit_scenes.captions_file {self.path}`, or set the path in "
                f"{WHERE}."
            )

    def check_captions(self, reading: Reading) -> None:
        """Looks at the ending of the captions file; see `CaptionFiles.check`."""
        self.check()
        CaptionFiles(self.path).check(reading)

    def tasks(self) -> dict[str, Task]:
        """Returns the tasks digit, ink, ground and texture."""
        return scene_tasks()

    def caption_batches(self, reading: Reading, batch_size: int = BATCH_SIZE) -> "Iterator[pl.DataFrame]":
        """Reads the captions file; see `stablerep.curation.reading.engine.CaptionFiles.batches`."""
        self.check()
        batches = CaptionFiles(self.path).batches(reading, batch_size)
        return map(self._leave_digits_open, batches) if self.open_share else batches

    def _leave_digits_open(self, batch: "pl.DataFrame") -> "pl.DataFrame":
        import polars as pl

        def read(text: str) -> str:
            return (
                leave_digit_open(text) if uniform_of(f"digit left open in {text}") < self.open_share else text
            )

        return batch.with_columns(pl.col("caption").map_elements(read, return_dtype=pl.String))

    def render(self, texts: Sequence[str], images_per_caption: int, name: str, seed: int) -> Rendered:
        """Draws scenes of the fit hands that show what captions say; the rest is random.

        Args:
            texts: T captions.
            images_per_caption: of each.
            name: of the image set; sets of two names get different images.
            seed: of the experiment.

        Returns:
            (T * images_per_caption, 3, 32, 32) pixels, and labels for every task.

        Raises:
            DataError: captions do not describe a digit scene.
        """
        from stablerep.digit_scenes.scene_pixels import to_bytes
        from stablerep.digit_scenes.scenes import draw_scenes_of_captions

        self.check_renderable(texts)
        warn_of_unknown_words(texts)
        scenes = draw_scenes_of_captions(list(texts), images_per_caption, "fit", name, seed)
        return Rendered(to_bytes(scenes.images), scenes.labels)

    def check_renderable(self, texts: Sequence[str]) -> None:
        """Raises DataError for captions that do not describe a digit scene."""
        check_captions_tell_of_digits(texts)

    def labels_of(self, texts: Sequence[str]) -> dict[str, list[int | None]]:
        """Finds the attributes that captions name.

        Args:
            texts: T captions.

        Returns:
            Task -> T labels; None where a caption leaves the attribute open. Labels are None throughout where
            some captions do not describe a digit scene: there, words such as "one" mean something else.
        """
        return attributes_named(texts)


@dataclass
class EvaluationScenes(Corpus):
    """Labelled real scenes: train of the fit hands, validation and test of hands that nothing learns from.

    Scenes of one hand share its handwriting, so the hand is the statistical unit. A scene has one caption,
    which names everything that it shows: a vaguer caption would also be true of other scenes. The images
    are drawn again each time that they are needed: their table holds no file.

    Attributes:
        num_train: scenes of the fit hands, of random ones.
        num_validation_per_hand: scenes of each validation hand.
        num_test_per_hand: scenes of each held-out hand.
        seed: of the scenes.
    """

    num_train: int = 4000
    num_validation_per_hand: int = 8
    num_test_per_hand: int = 4
    seed: int = 0

    name = "scenes"
    mirrorable = False
    _style: ClassVar[Style] = USUAL
    _stream: ClassVar[str] = "probe"

    def __post_init__(self) -> None:
        """Checks ranges; raises ConfigError."""
        for name in ("num_train", "num_validation_per_hand", "num_test_per_hand"):
            check_range(f"evaluation_sets.{self.name}.{name}", getattr(self, name), 1)

    def tasks(self) -> dict[str, Task]:
        """Returns the tasks digit, ink, ground and texture."""
        return scene_tasks()

    def index(self, previous: "pd.DataFrame | None" = None) -> "pd.DataFrame":
        """Returns the table of the scenes, `stablerep.corpora.corpus.IMAGE_COLUMNS` and their labels.

        `path` is the split and `row` the number of the scene in it.
        """
        import pandas as pd

        from stablerep.corpora.image_table import NUM_UNREADABLE, UNREADABLE

        del previous  # nothing is read from files
        table = pd.concat([self._table_of(split) for split in SPLITS], ignore_index=True)
        table.attrs = {NUM_UNREADABLE: 0, UNREADABLE: []}
        return table

    def pixels(self, table: "pd.DataFrame") -> "ScenePixels":
        """Draws the scenes of these rows of its table.

        Raises:
            DataError: a scene is not the one that the table was made of.
        """
        import torch

        from stablerep.digit_scenes.scene_pixels import ScenePixels, digests_of, to_bytes
        from stablerep.digit_scenes.scenes import SIZE_PX

        images = torch.empty(len(table), 3, SIZE_PX, SIZE_PX, dtype=torch.uint8)
        for split in table["path"].unique():
            places = torch.from_numpy((table["path"] == split).to_numpy().copy())
            rows = torch.from_numpy(table["row"].to_numpy(copy=True))[places]
            images[places] = to_bytes(self._draw(split).images)[rows]
        changed = [
            key
            for key, digest, own in zip(table["key"], table["digest"], digests_of(images), strict=True)
            if digest != own
        ]
        if changed:
            raise DataError(
                f"evaluation scenes: {len(changed)} of {len(table)} scenes are not those of their table, "
                f"such as {changed[0]}: settings, torch or the processor have changed. Make the table again."
            )
        return ScenePixels(images, table["key"].tolist())

    def facts(self, table: "pd.DataFrame") -> dict[str, Any]:
        """Returns what a report says of the table; see `stablerep.corpora.table_faults.facts_of`."""
        from stablerep.corpora.table_faults import facts_of

        return {"name": self.name, **facts_of(table, self.tasks())}

    def labels_of(self, texts: Sequence[str]) -> dict[str, list[int | None]]:
        """Finds the attributes that captions name; see `DigitScenes.labels_of`."""
        return attributes_named(texts)

    def _draw(self, split: str) -> "Scenes":
        """Draws a split; the seeds are frozen: other ones are another benchmark."""
        from stablerep.digit_scenes.scenes import draw_scenes, draw_scenes_per_hand

        seed = self._stream, self.seed
        drawn: dict[str, Callable[[], Scenes]] = {
            "train": lambda: draw_scenes(self.num_train, "fit", *seed, style=self._style),
            "validation": lambda: draw_scenes_per_hand(
                self.num_validation_per_hand, "validation", *seed, style=self._style
            ),
            "test": lambda: draw_scenes_per_hand(
                self.num_test_per_hand, "held_out", *seed, style=self._style
            ),
        }
        return drawn[split]()

    def _captions_of(self, split: str, scenes: "Scenes") -> list[list[str]]:
        from stablerep.digit_scenes.captioned_scenes import attributes_of
        from stablerep.digit_scenes.grammar import write_caption
        from stablerep.seeding import numpy_generator

        rng = numpy_generator("evaluation captions", split, self.seed)
        return [[write_caption(attributes, rng)] for attributes in attributes_of(scenes)]

    def _table_of(self, split: str) -> "pd.DataFrame":
        import pandas as pd

        from stablerep.digit_scenes.scene_pixels import digests_of, to_bytes
        from stablerep.digit_scenes.scenes import SIZE_PX

        scenes = self._draw(split)
        units = pd.Series([f"hand-{hand:04}" for hand in scenes.hand_ids.tolist()], dtype="str")
        number_in_hand = units.groupby(units).cumcount()
        columns = {
            "key": [f"{split}/{unit}/{n}" for unit, n in zip(units, number_in_hand, strict=True)],
            "path": split,
            "offset": _NONE,
            "size_bytes": _NONE,
            "row": range(len(scenes)),
            "file_bytes": _NONE,
            "mtime_ns": _NONE,
            "digest": digests_of(to_bytes(scenes.images)),
            "captions": self._captions_of(split, scenes),
            "split": split,
            "split_given": True,
            "unit": units,
            "width_px": SIZE_PX,
            "height_px": SIZE_PX,
        }
        labels = {label_column(name): values.numpy() for name, values in scenes.labels.items()}
        return pd.DataFrame(columns | labels)


@dataclass
class HardScenes(EvaluationScenes):
    """Labelled real scenes that vary further than those of captions, with fewer labels to learn from.

    On `EvaluationScenes` most encoders reach 95 %, including that of a perfect generator. Here digits are
    smaller, and are rotated and sheared further, on grounds with more contrast and noise than in any training
    image, so that encoders differ.
    """

    num_train: int = 500

    name = "hard_scenes"
    _style: ClassVar[Style] = HARD
    _stream: ClassVar[str] = "hard probe"
