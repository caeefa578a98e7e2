"""Figures and images as data addresses, so that a page needs no other file."""

import base64
import io
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def svg_address(figure: "Figure") -> str:
    """Returns a matplotlib figure as a data address of an SVG, text as outlines; equal figures are equal."""
    import matplotlib

    buffer = io.BytesIO()
    # a fixed salt and no date: else the ids inside, and so the page, differ from run to run
    with matplotlib.rc_context({"svg.hashsalt": "stablerep", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def png_address(image: Image.Image) -> str:
    """Returns an image as a data address of a PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
