"""The report's figures."""

import pytest
from matplotlib.colors import to_hex

from stablerep.reporting.axes import light
from stablerep.reporting.figures import draw_accuracies, draw_training
from stablerep.reporting.tables import make_table
from tests.stablerep.reporting.content import make_content, make_history


def points_of(axes):
    """Returns the dots of a figure: place -> (value, colour)."""
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    return {int(line.get_ydata()[0]): (line.get_xdata()[0], to_hex(line.get_color())) for line in dots}


def test_each_arm_is_a_dot_with_its_interval_in_the_colour_of_its_source():
    table = make_table(make_content(), "zoo", "species")
    axes = draw_accuracies(table, "knn", 0.1).axes[0]
    dots = points_of(axes)
    for place, row in enumerate(table.rows[::-1]):
        assert dots[place] == (pytest.approx(100 * row.cells["knn"].interval.value), light(row.source))
    assert [label.get_text() for label in axes.get_yticklabels()][-1] == "StableRep+"
    assert any(text.get_text() == " chance" for text in axes.texts)


def test_chance_is_not_drawn_where_the_classes_are_not_known():
    axes = draw_accuracies(make_table(make_content(), "zoo", "species"), "knn", None).axes[0]
    assert not any(text.get_text() == " chance" for text in axes.texts)


def test_an_arm_without_this_evaluation_is_left_out():
    table = make_table(make_content(), "zoo", "species")
    del table.row("clip_real").cells["knn"]
    assert len(points_of(draw_accuracies(table, "knn", None).axes[0])) == len(table.rows) - 1


def test_each_seed_is_a_line_and_several_are_thin():
    one = draw_training({0: make_history()}, "generated")
    three = draw_training({seed: make_history(seed) for seed in range(3)}, "corpus")
    assert [len(axes.lines) for axes in one.axes] == [1, 1]
    assert [len(axes.lines) for axes in three.axes] == [3, 3]
    assert three.axes[0].lines[0].get_linewidth() < one.axes[0].lines[0].get_linewidth()
    assert to_hex(three.axes[1].lines[0].get_color()) == light("corpus")
