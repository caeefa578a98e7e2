"""How the axes of every figure look; apart from the figures, for it needs nothing but matplotlib."""

from matplotlib.axes import Axes

_FAINT = "#e3e6ea"
_INK = "#20262e"


def plain(axes: Axes, grid_axis: str) -> None:
    """Takes away what says nothing: three of four spines, dark grid lines."""
    axes.grid(axis=grid_axis, color=_FAINT)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#b8bec6")
    axes.tick_params(colors=_INK)
