"""Data sets of Hugging Face's `datasets`, by name or in a folder.

Images are read from the library's own memory-mapped files. The library downloads what it does not have,
unless HF_HUB_OFFLINE=1 is set.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from stablerep.corpora.columns import ChosenColumns, ColumnNames, check_column_names
from stablerep.corpora.corpus import WHERE
from stablerep.corpora.reading_in_place import Place
from stablerep.corpora.real_images import RealImages
from stablerep.errors import ConfigError, DataError
from stablerep.storage.outages import file_faults
from stablerep.storage.pixels import UnreadableImageError

_USUAL = {"image": "image", "caption": "text", "label": "label"}
_WHOLE = "all"  # stands for the split of a data set without splits


@dataclass
class HuggingFace(RealImages):
    """A data set of images of Hugging Face's `datasets`.

    Attributes:
        name: on the Hub, such as `cifar10`, or a local folder, written by `save_to_disk` or readable by
            `load_dataset`.
        subset: the data set's configuration, where it has several.
        columns: names of the columns, where they are other than image, text, label:
            `{image: img, caption: title, label: ..., key: ..., unit: ...}`; null leaves one out; `label` may
            map tasks to columns.
        revision: commit, tag or branch on the Hub; a commit keeps the data as they are.
    """

    name: str
    subset: str | None = None
    columns: ColumnNames | None = None
    revision: str | None = None

    def __post_init__(self) -> None:
        """Checks the settings; raises ConfigError."""
        super().__post_init__()
        check_column_names(self.columns)

    def inputs(self) -> list[str]:
        """Returns the local folder; nothing for a name on the Hub."""
        return [self.name] if Path(self.name).is_dir() else []

    def _reader(self) -> "DatasetReader":
        return DatasetReader(self.name, self.subset, self.revision, self._image_column)

    @cached_property
    def _image_column(self) -> str:
        return self._columns(next(iter(self._splits.values()))).fields["image"]

    @cached_property
    def _splits(self) -> dict[str, Any]:
        return load_splits(self.name, self.subset, self.revision)

    def _columns(self, split: Any) -> ChosenColumns:
        columns = ChosenColumns.of(
            {"image": "image", **(self.columns or {})}, _USUAL, split.column_names, self.name
        )
        image = columns.fields["image"]
        if type(split.features[image]).__name__ != "Image":
            raise DataError(
                f"{self.name}: column {image!r} has the type {type(split.features[image]).__name__}; must be "
                f"Image. Set corpus.columns.image in {WHERE}."
            )
        return columns

    def _list_images(self) -> dict[str, Any]:
        listing: dict[str, list[Any]] = {}
        for name, split in self._splits.items():
            columns = self._columns(split)
            wanted = sorted({column for field, column in columns.all() if field != "image"})
            table = split.select_columns(wanted).to_pandas() if wanted else None
            part: dict[str, Any] = {
                "key": [f"{name}/{row}" for row in range(len(split))],
                "path": [name] * len(split),
                "row": list(range(len(split))),
                "split": [None if name == _WHOLE else name] * len(split),
            }
            if table is not None:
                columns.copy_into(part, table)
            if listing and set(part) != set(listing):
                odd = sorted(set(part) ^ set(listing))
                raise DataError(
                    f"{self.name}: split {name!r} differs from the others in {', '.join(odd)}. Set "
                    f"corpus.columns in {WHERE}."
                )
            for column, values in part.items():
                listing.setdefault(column, []).extend(values)
        if not listing.get("key"):
            raise DataError(f"{self.name}: has no images. Choose another data set.")
        return listing

    def _class_names_in_data(self) -> dict[str, list[str]]:
        split = next(iter(self._splits.values()))
        labels = self._columns(split).labels
        names = {task: getattr(split.features[column], "names", None) for task, column in labels.items()}
        return {task: list(each) for task, each in names.items() if each}


def load_splits(name: str, subset: str | None, revision: str | None) -> dict[str, Any]:
    """Loads a data set.

    Returns:
        Split -> `datasets.Dataset`.

    Raises:
        ConfigError: the library is not installed.
        DataError: it is neither in the folder, nor in the library's cache, nor can it be downloaded.
    """
    try:
        import datasets
    except ImportError as error:
        raise ConfigError(
            f"corpus: the data set {name!r} needs the package datasets, which is not installed. Install the "
            "extra `huggingface` (pip install 'stablerep[huggingface]'; requirements.lock holds it), or "
            f"choose another corpus in {WHERE}."
        ) from error
    folder = Path(name)
    saved = any((folder / each).is_file() for each in ("dataset_dict.json", "state.json"))
    try:
        if saved:
            found = datasets.load_from_disk(name)
        else:
            found = datasets.load_dataset(name, subset, revision=revision)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())
        what = ", ".join(repr(each) for each in (name, subset) if each)
        command = f"import datasets; datasets.load_dataset({what}).save_to_disk('FOLDER')"
        raise DataError(
            f"corpus: the data set {what} cannot be loaded ({reason}). Looked for a folder {name!r}, then in "
            f"{datasets.config.HF_DATASETS_CACHE}, then on the Hugging Face Hub. On a machine with a network "
            f'run `python -c "{command}"`, copy FOLDER, and set corpus.name to it.'
        ) from error
    return dict(found) if isinstance(found, dict) else {_WHOLE: found}


@dataclass
class DatasetReader:
    """Reads rows of a data set; another process opens it again.

    Attributes:
        name: of the data set, as in `HuggingFace`.
        subset: likewise.
        revision: likewise.
        column: of the images.
    """

    name: str
    subset: str | None
    revision: str | None
    column: str

    def __getstate__(self) -> dict[str, Any]:
        """Returns the settings, without the opened files."""
        return {field: value for field, value in self.__dict__.items() if field != "_encoded"}

    @cached_property
    def _encoded(self) -> dict[str, Any]:
        splits = load_splits(self.name, self.subset, self.revision)
        import datasets  # after `load_splits`, whose message says how to install it

        return {
            name: split.select_columns([self.column]).cast_column(self.column, datasets.Image(decode=False))
            for name, split in splits.items()
        }

    def read(self, place: Place) -> bytes:
        """Returns the bytes of an image; see `ImageReader.read`."""
        cell = self._encoded[place.path][place.row][self.column]
        if not cell:
            raise UnreadableImageError("has no image in its row")
        if cell["bytes"]:
            return bytes(cell["bytes"])
        with file_faults(Path(cell["path"])):
            return Path(cell["path"]).read_bytes()
