"""Pictures for people: images of Pillow and figures of matplotlib."""

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pipelines.datasets.whole import WholeFileDataset
from stablerep.errors import ConfigError, DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image


class ImageDataset(WholeFileDataset):
    """A Pillow image, in the format that the path's suffix names."""

    form = "an image"

    def _write(self, beside: Path, data: "Image") -> None:
        from PIL import Image

        suffix = self._filepath.suffix.lower()
        formats = Image.registered_extensions()
        if suffix not in formats:
            raise ConfigError(
                f"conf/base/catalog.yml: {self._filepath} has the suffix {suffix!r}, which is no image "
                "format of Pillow; use .png, for instance."
            )
        data.save(beside, format=formats[suffix])

    def _read(self, path: Path) -> "Image":
        from PIL import Image

        try:
            with Image.open(path) as image:
                return image.copy()
        # Pillow's, of a damaged header; the block has no code of ours
        except (SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(str(error)) from error


class FigureDataset(WholeFileDataset):
    """A matplotlib figure as PNG; written, never read."""

    form = "a figure"

    def _write(self, beside: Path, data: "Figure") -> None:
        data.savefig(beside, format="png", dpi=150, bbox_inches="tight")

    def _read(self, path: Path) -> NoReturn:
        raise DataError(f"{path}: a picture for people; must not be an input of a node.")
