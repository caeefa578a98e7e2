"""Images in a folder: class folders, or a metadata file beside the images; with or without split folders."""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stablerep.corpora.columns import ChosenColumns, ColumnNames, check_column_names
from stablerep.corpora.corpus import WHERE, label_column
from stablerep.corpora.labels import DEFAULT_TASK
from stablerep.corpora.metadata_file import FILE_NAME, NAMES, find_metadata, read_metadata
from stablerep.corpora.reading_in_place import FileReader
from stablerep.corpora.real_images import RealImages
from stablerep.corpora.splits import split_of_name
from stablerep.errors import DataError

logger = logging.getLogger(__name__)

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
_OTHER_METADATA = (".json", ".jsonl", ".csv", ".tsv", ".parquet")
_ANNOTATIONS = "annotations"  # where COCO's files lie
_USUAL = {"caption": "text", "label": "label", "split": "split", "unit": "unit"}


@dataclass
class ImageFolder(RealImages):
    """Images in a folder.

    Layouts, each with or without `train/`, `val/`, `test/` above:

        root/cat/1.jpg                                    the first folder is the class
        root/metadata.csv (or .jsonl, .parquet), images   columns `file_name`, and any of `text` (one or
                                                          a list), `label`, `split`, `unit`
        root/1.jpg                                        images without labels

    Attributes:
        path: the folder.
        columns: names of the metadata file's columns, where they are other than usual:
            `{caption: ..., label: ..., split: ..., unit: ...}`; null leaves one out; `label` may map tasks
            to columns.
    """

    path: str
    columns: ColumnNames | None = None

    def __post_init__(self) -> None:
        """Checks the settings; raises ConfigError."""
        super().__post_init__()
        if self.name == RealImages.name:
            self.name = Path(self.path).name
        check_column_names(self.columns)

    def inputs(self) -> list[str]:
        """Returns the folder."""
        return [self.path]

    def _reader(self) -> FileReader:
        return FileReader(Path(self.path))

    def _list_images(self) -> dict[str, Any]:
        root = Path(self.path)
        if not root.is_dir():
            fault = "is not a folder" if root.exists() else "does not exist"
            raise DataError(f"{root}: {fault}; must be a folder of images. Set corpus.path in {WHERE}.")
        files = sorted(_image_files(root))
        if not files:
            raise DataError(
                f"{root}: has no images; files must end in {', '.join(ENDINGS)}. Set corpus.path in {WHERE}."
            )
        split_folders = self._split_folders(root, files)
        folders = [root / name for name in split_folders] or [root]
        described = [folder for folder in folders if find_metadata(folder) is not None]
        if described and len(described) < len(folders):
            lacking = sorted(folder.name for folder in set(folders) - set(described))
            raise DataError(
                f"{root}: {', '.join(lacking)} has no metadata file and another split has; each must have "
                f"one of {', '.join(NAMES)}, or one file with a column 'split' must stand in {root}. Add it."
            )
        if not described and find_metadata(root) is not None:
            described = [root]
        if not described:
            _warn_of_other_metadata(root)
        if described:
            return self._from_metadata(root, described, len(files))
        return self._from_folders(files, set(split_folders))

    def _split_folders(self, root: Path, files: list[str]) -> list[str]:
        """Returns the folders of the splits; none where the first folder is the class."""
        tops = sorted({path.split("/")[0] for path in files if "/" in path})
        named = [top for top in tops if split_of_name(top, self.split_names) is not None]
        # one of many may be a class: "train" is one of CIFAR-100's
        if len(named) > 1 and len(named) < len(tops):
            others = ", ".join(repr(top) for top in tops if top not in named)
            raise DataError(
                f"{root}: has the folders {', '.join(map(repr, named))} of splits and also {others}; it must "
                "have folders of splits only, or of classes only. Move the others away, or name them in "
                "corpus.split_names."
            )
        return named if len(named) == len(tops) else []

    def _from_folders(self, files: list[str], split_folders: set[str]) -> dict[str, Any]:
        splits, labels = [], []
        for path in files:
            *folders, _ = path.split("/")
            splits.append(folders.pop(0) if folders and folders[0] in split_folders else None)
            labels.append(folders[0] if folders else None)
        listing = self._placed(files)
        listing["split"] = splits
        if any(label is not None for label in labels):
            if None in labels:
                raise DataError(
                    f"{Path(self.path) / files[labels.index(None)]}: is in no folder of a class, and other "
                    "images are; every image must be in one, or none. Move it."
                )
            listing[label_column(DEFAULT_TASK)] = labels
        return listing

    def _from_metadata(self, root: Path, folders: list[Path], num_files: int) -> dict[str, Any]:
        listing: dict[str, Any] = {}
        for folder in folders:
            path = find_metadata(folder)
            assert path is not None  # noqa: S101 - these folders were chosen by it
            table = read_metadata(path)
            columns = ChosenColumns.of(self.columns, _USUAL, list(map(str, table)), str(path))
            prefix = "" if folder == root else f"{folder.name}/"
            part = self._placed([prefix + name for name in table[FILE_NAME]])
            columns.copy_into(part, table)
            if folder != root:
                part["split"] = [folder.name] * len(table)
            if listing and set(part) != set(listing):
                odd = sorted(set(part) ^ set(listing))
                raise DataError(
                    f"{path}: the metadata files of the splits differ in {', '.join(odd)}; they must have "
                    "the same columns. Add what is missing."
                )
            for name, values in part.items():
                listing.setdefault(name, []).extend(values)
        num_left_out = num_files - len(set(listing["path"]))
        if num_left_out > 0:
            logger.warning("%s: %d images are in no metadata file and are left out.", root, num_left_out)
        return listing

    def _placed(self, files: list[str]) -> dict[str, Any]:
        """Returns keys, places, sizes and times of files; a missing one has neither size nor time."""
        sizes, times = [], []
        for name in files:
            try:
                found = (Path(self.path) / name).stat()
                sizes.append(found.st_size)
                times.append(found.st_mtime_ns)
            except FileNotFoundError:  # counted as unreadable when it is read
                sizes.append(-1)
                times.append(-1)
        # equal files, different lists: each column may be extended
        return {
            "key": list(files),
            "path": list(files),
            "size_bytes": list(sizes),
            "file_bytes": sizes,
            "mtime_ns": times,
        }


def _image_files(root: Path) -> Iterator[str]:
    """Yields the images below a folder, relative to it; hidden files and folders are left out."""
    seen: Counter[tuple[int, int]] = Counter()
    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=_refuse_folder):
        status = os.stat(folder)
        seen[status.st_dev, status.st_ino] += 1
        # a link to a folder above it would never end
        subfolders[:] = sorted(
            name
            for name in subfolders
            if not name.startswith(".") and seen[status.st_dev, status.st_ino] == 1
        )
        relative = Path(folder).relative_to(root)
        for name in files:
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                yield (relative / name).as_posix()


def _refuse_folder(error: OSError) -> None:
    raise DataError(
        f"{error.filename}: cannot be listed ({error.strerror}). Check its permissions."
    ) from error


def _warn_of_other_metadata(root: Path) -> None:
    """Logs files that look like captions or labels in a format that is not read, such as COCO's."""
    places = (root, root / _ANNOTATIONS)
    found = sorted(path for place in places for path in place.glob("*") if path.suffix in _OTHER_METADATA)
    if found:
        shown = ", ".join(path.relative_to(root).as_posix() for path in found[:3])
        logger.warning(
            "%s: %s %s not read: captions and labels must be in one of %s, one row per image, with a "
            "column %r. Convert COCO's JSON and other formats to one of these.",
            root, shown, "is" if len(found) == 1 else "are", ", ".join(NAMES), FILE_NAME,
        )  # fmt: skip
