"""Figures as text in a page."""

import re

from matplotlib.figure import Figure

from stablerep.reporting.axes import PALETTE, TEXT, light
from stablerep.reporting.inline import svg_address, svg_of


def draw():
    figure = Figure(figsize=(2, 2))
    axes = figure.subplots()
    axes.plot([0, 1], color=light("generated"))
    axes.set_title("title", color=TEXT)
    return figure


def contrast(first, second):
    """Returns the contrast of two colours (WCAG 2.1, relative luminance)."""

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_the_colours_of_a_figure_follow_the_scheme_of_the_reader():
    svg = svg_of(draw())
    style, drawing = re.search("<style>(.*?)</style>", svg).group(1), re.sub("<style>.*?</style>", "", svg)
    assert "prefers-color-scheme:dark" in style
    assert "stroke: var(--generated)" in drawing
    assert "fill: var(--text)" in drawing
    assert light("generated") not in drawing


def test_a_figure_has_no_background():
    patch = re.search(r'<g id="patch_1">.*?</g>', svg_of(draw()), re.DOTALL).group(0)
    assert "fill: none" in patch or "opacity: 0" in patch


def test_equal_figures_give_equal_addresses():
    assert svg_address(draw()) == svg_address(draw())


def test_colours_differ_as_figures_are_recoloured_by_them():
    assert len({values[0] for values in PALETTE.values()}) == len(PALETTE)


def test_text_has_enough_contrast_in_both_schemes():
    for scheme in (0, 1):
        for text in ("text", "soft", "good", "bad"):
            for ground in ("paper", "ground", "marked"):
                assert contrast(PALETTE[text][scheme], PALETTE[ground][scheme]) >= 4.5, (text, ground, scheme)
