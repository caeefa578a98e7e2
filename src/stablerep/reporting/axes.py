"""How every figure looks: the colours of the pages, and axes without what says nothing.

Figures are drawn in the light colours. `inline.svg_address` replaces these by CSS variables, so that a figure
follows the reader's light or dark scheme as the page around it does.
"""

from matplotlib.axes import Axes

# name -> (light, dark). The light values must differ: figures are recoloured by them. Text has a contrast of
# at least 4.5:1 to paper and ground in both schemes (WCAG 2.1, criterion 1.4.3).
PALETTE = {
    "text": ("#20262e", "#e4e8ed"),
    "soft": ("#5b6570", "#a3adb8"),
    "line": ("#e1e5ea", "#333b45"),
    "grid": ("#e3e6ea", "#303842"),
    "spine": ("#b8bec6", "#596470"),
    "paper": ("#ffffff", "#1a1f26"),
    "ground": ("#f5f6f8", "#12161b"),
    "marked": ("#eef4fb", "#1d2a3a"),
    "good": ("#1f7a4a", "#5cc48d"),
    "bad": ("#b3401b", "#f0855f"),
    "within": ("#eef4ee", "#1e2b22"),
    "before": ("#9aa4af", "#6f7a86"),
    "generated": ("#2a6fb0", "#6aaae8"),
    "corpus": ("#c8641e", "#e8944f"),
    "rendered": ("#2f8a57", "#60bf8b"),
    "mixture": ("#8050b0", "#b593e6"),
    "none": ("#7b8490", "#949eaa"),
}
TEXT = PALETTE["text"][0]


def light(name: str) -> str:
    """Returns a colour of the palette as figures are drawn with it."""
    return PALETTE[name][0]


def css_variables() -> str:
    """Returns the palette as CSS variables, light and dark."""
    schemes = [
        "".join(f"--{name}:{values[scheme]};" for name, values in PALETTE.items()) for scheme in (0, 1)
    ]
    return f":root{{{schemes[0]}}}@media (prefers-color-scheme:dark){{:root{{{schemes[1]}}}}}"


def plain(axes: Axes, grid_axis: str) -> None:
    """Removes what says nothing: three of four spines, dark grid lines."""
    axes.grid(axis=grid_axis, color=light("grid"))  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(light("spine"))
    axes.tick_params(colors=TEXT)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(TEXT)
