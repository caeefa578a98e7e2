"""Figures and images as data addresses, so that a page needs no other file."""

import base64
import io
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def svg_address(figure: "Figure") -> str:
    """Returns a matplotlib figure as a data address of an SVG; equal figures give equal addresses.

    Text is drawn as outlines. The background is transparent, and the colours of `axes.PALETTE` follow the
    reader's light or dark scheme.
    """
    return "data:image/svg+xml;base64," + base64.b64encode(svg_of(figure).encode()).decode()


def svg_of(figure: "Figure") -> str:
    """Returns a figure as the text of an SVG, as `svg_address` describes."""
    import matplotlib

    from stablerep.reporting.axes import PALETTE, css_variables

    buffer = io.BytesIO()
    # a fixed salt and no date: otherwise the ids inside, and so the page, differ from run to run
    with matplotlib.rc_context({"svg.hashsalt": "stablerep", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue().decode()
    for name, (colour, _) in PALETTE.items():
        svg = svg.replace(colour, f"var(--{name})")
    # matplotlib writes no fill for black text
    style = f"<style>{css_variables()}svg{{fill:var(--text)}}</style>"
    return svg.replace(" <metadata>", f" {style}\n <metadata>", 1)


def png_address(image: Image.Image) -> str:
    """Returns an image as a data address of a PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def webp_address(image: Image.Image) -> str:
    """Returns an image as a data address of a WebP, a tenth of a PNG's size for many thumbnails."""
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=82, method=6)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
