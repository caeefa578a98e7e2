"""How a metric is shown."""

import math

import pytest

from stablerep.evaluation.bootstrap import Interval
from stablerep.reporting.metric_names import is_share, lower_is_better, shown, unit_of
from stablerep.reporting.tables import Cell


@pytest.mark.parametrize(
    ("metric", "share", "lower"),
    [
        ("accuracy", True, False),
        ("recall_at_5", True, False),
        ("calibration_error", True, True),
        ("median_rank", False, True),
        ("frechet_distance", False, True),
        ("vendi", False, False),
    ],
)
def test_a_metrics_name_says_how_it_is_shown_and_read(metric: str, share: bool, lower: bool) -> None:
    assert is_share(metric) is share and lower_is_better(metric) is lower
    assert unit_of(metric) == (" in %" if share else "")


def test_shares_are_in_percent_and_numbers_as_they_are() -> None:
    assert shown(0.1234, "accuracy") == "12.3"
    assert shown(-0.012, "accuracy", signed=True) == "\N{MINUS SIGN}1.2"
    assert shown(12.345, "median_rank") == "12.3"
    assert shown(None, "accuracy") == shown(math.nan, "vendi") == "\N{EN DASH}"


@pytest.mark.parametrize(("metric", "judged"), [("accuracy", "good"), ("calibration_error", "bad")])
def test_above_is_good_where_more_is_better(metric: str, judged: str) -> None:
    cell = Cell(Interval(0.5, 0.4, 0.6, 9), Interval(0.2, 0.1, 0.3, 9), (0.5,))
    assert cell.verdict == "above" and cell.judged(metric) == judged
    level = Cell(Interval(0.5, 0.4, 0.6, 9), Interval(0.0, -0.1, 0.1, 9), (0.5,))
    assert level.judged(metric) == "level"
