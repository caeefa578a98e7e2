"""Data sets of torchvision, by the name of their class: https://docs.pytorch.org/vision/stable/datasets.html."""

import inspect
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from stablerep.corpora.corpus import WHERE, label_column
from stablerep.corpora.decoding import to_rgb
from stablerep.corpora.labels import DEFAULT_TASK
from stablerep.corpora.reading_in_place import Place
from stablerep.corpora.real_images import RealImages
from stablerep.errors import ConfigError, DataError
from stablerep.storage.outages import file_faults
from stablerep.storage.pixels import UnreadableImageError

_WHOLE = "all"  # stands for the split of a data set without splits
_TARGETS = ("targets", "labels", "_labels")  # where torchvision's classes keep their labels


@dataclass
class TorchvisionDataset(RealImages):
    """A data set of torchvision whose targets are classes.

    Attributes:
        class_name: in `torchvision.datasets`, such as `CIFAR10`.
        root: folder of the data.
        download: whether it may be downloaded, where it is not there.
        splits: split -> arguments of the class, such as `{train: {split: trainval}, test: {split: test}}`.
            Null: what the class has, by its argument `train` or `split`.
        arguments: others of the class, for every split.
    """

    class_name: str
    root: str = ""
    download: bool = False
    splits: dict[str, dict[str, Any]] | None = None
    arguments: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks the class and the splits.

        Raises:
            ConfigError: torchvision has no such class, or it takes no such arguments.
        """
        super().__post_init__()
        if self.name == RealImages.name:
            self.name = self.class_name
        parameters = _parameters_of(self.class_name)
        for name in {name for each in self._arguments.values() for name in each}:
            if name not in parameters:
                raise ConfigError(
                    f"corpus: torchvision's {self.class_name} has no argument {name!r}; it has "
                    f"{', '.join(parameters)}. Set corpus.splits and corpus.arguments in {WHERE}."
                )

    def inputs(self) -> list[str]:
        """Returns the folder of the data."""
        return [self.root] if self.root else []

    @cached_property
    def _arguments(self) -> dict[str, dict[str, Any]]:
        """The arguments of the class, for each split."""
        parameters = _parameters_of(self.class_name)
        common = {"root": self.root, "download": self.download}
        common = {name: value for name, value in common.items() if name in parameters} | self.arguments
        splits = self.splits
        if splits is None and "train" in parameters:
            splits = {"train": {"train": True}, "test": {"train": False}}
        elif splits is None and "split" in parameters:
            raise ConfigError(
                f"corpus.splits must be given for torchvision's {self.class_name}, such as "
                f"{{train: {{split: train}}, test: {{split: test}}}}. Set it in {WHERE}."
            )
        return {name: common | each for name, each in (splits or {_WHOLE: {}}).items()}

    def _reader(self) -> "TorchvisionReader":
        return TorchvisionReader(self.class_name, self._arguments)

    def _list_images(self) -> dict[str, Any]:
        listing: dict[str, list[Any]] = {"key": [], "path": [], "row": [], "split": []}
        labels: list[Any] = []
        for name, data in open_splits(self.class_name, self._arguments).items():
            listing["key"] += [f"{name}/{row}" for row in range(len(data))]
            listing["path"] += [name] * len(data)
            listing["row"] += range(len(data))
            listing["split"] += [None if name == _WHOLE else name] * len(data)
            labels += _targets_of(data)
        if not labels:
            raise DataError(f"corpus: torchvision's {self.class_name} has no images in {self.root!r}.")
        return {**listing, label_column(DEFAULT_TASK): labels}

    def _class_names_in_data(self) -> dict[str, list[str]]:
        data = next(iter(open_splits(self.class_name, self._arguments).values()))
        classes = getattr(data, "classes", None)
        return {DEFAULT_TASK: [_name_of(each) for each in classes]} if classes else {}


def _parameters_of(class_name: str) -> Mapping[str, inspect.Parameter]:
    import torchvision

    found = getattr(torchvision.datasets, class_name, None)
    if not inspect.isclass(found):
        raise ConfigError(
            f"corpus.class_name is {class_name!r}; it must be a class of torchvision.datasets, such as "
            f"CIFAR10. Set it in {WHERE}."
        )
    return inspect.signature(found).parameters


def open_splits(class_name: str, arguments: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Opens a data set.

    Args:
        class_name: in `torchvision.datasets`.
        arguments: split -> arguments of the class.

    Returns:
        Split -> data set.

    Raises:
        DataError: it is not there, or damaged.
    """
    import torchvision

    made = getattr(torchvision.datasets, class_name)
    try:
        return {name: made(**each) for name, each in arguments.items()}
    except (RuntimeError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        root = str(next(iter(arguments.values())).get("root", ""))
        raise DataError(
            f"corpus: torchvision's {class_name} cannot be opened ({reason}). Looked in "
            f"{str(Path(root).absolute())!r}. Put the data there, or set corpus.download to true in {WHERE} "
            "where there is a network."
        ) from error


def _targets_of(data: Any) -> list[Any]:
    """Returns the labels, from a list where the class has one; otherwise by reading every image."""
    for name in _TARGETS:
        targets = getattr(data, name, None)
        if targets is not None and len(targets) == len(data):
            return targets.tolist() if hasattr(targets, "tolist") else list(targets)
    targets = [data[row][1] for row in range(len(data))]
    return [target.item() if hasattr(target, "item") else target for target in targets]


def _name_of(name: Any) -> str:
    # ImageNet's classes are tuples of synonyms
    return str(name[0]) if isinstance(name, tuple | list) else str(name)


@dataclass
class TorchvisionReader:
    """Reads images of a data set, as PPM files, for it gives pixels; another process opens it again.

    Attributes:
        class_name: in `torchvision.datasets`.
        arguments: split -> arguments of the class.
    """

    class_name: str
    arguments: dict[str, dict[str, Any]]

    def __getstate__(self) -> dict[str, Any]:
        """Returns the settings, without the opened data."""
        return {"class_name": self.class_name, "arguments": self.arguments}

    @cached_property
    def _opened(self) -> dict[str, Any]:
        return open_splits(self.class_name, self.arguments)

    def read(self, place: Place) -> bytes:
        """Returns the bytes of an image; see `ImageReader.read`."""
        name = f"image {place.row} of torchvision's {self.class_name}, {place.path}"
        try:
            with file_faults(Path(name)):
                image = self._opened[place.path][place.row][0]
        except (OSError, SyntaxError, ValueError) as error:
            raise UnreadableImageError(f"is not an image that Pillow can decode ({error})") from error
        if not isinstance(image, Image.Image):
            raise DataError(
                f"corpus: torchvision's {self.class_name} gives {type(image).__name__}; it must give images "
                "of Pillow. Choose another data set."
            )
        buffer = io.BytesIO()
        to_rgb(image).save(buffer, format="PPM")
        return buffer.getvalue()
