"""Figures and curves that DVC compares between versions."""

import pandas as pd

from stablerep.reporting.tracked import curves_of, figures_by_arm, table_of_figures

ROWS = [
    ("stablerep", 0, "scenes", "digit", "knn", "accuracy", 0.9),
    ("stablerep", 1, "scenes", "digit", "knn", "accuracy", 0.8),
    ("stablerep", 1, "scenes", "ink", "knn", "accuracy", 0.7),  # not the first task
    ("stablerep", 1, "photos", "class", "knn", "accuracy", 0.6),
    ("untrained", 0, "scenes", "digit", "knn", "accuracy", 0.1),
]
METRICS = pd.DataFrame(ROWS, columns=["arm", "seed", "set", "task", "evaluation", "metric", "value"])


def test_figures_are_those_of_the_first_task_of_each_set() -> None:
    assert figures_by_arm(METRICS) == {
        "stablerep": {
            "scenes.knn.accuracy": {"seed_0": 0.9, "seed_1": 0.8},
            "photos.knn.accuracy": {"seed_1": 0.6},
        },
        "untrained": {"scenes.knn.accuracy": {"seed_0": 0.1}},
    }


def test_the_table_has_a_row_for_each_arm_and_seed() -> None:
    table = table_of_figures(figures_by_arm(METRICS)).set_index("arm")
    assert list(table.index) == ["stablerep seed_0", "stablerep seed_1", "untrained seed_0"]
    assert table["scenes.knn.accuracy"].tolist() == [0.9, 0.8, 0.1]
    assert table["photos.knn.accuracy"].isna().tolist() == [True, False, True]


def test_curves_stand_side_by_side_by_views_seen() -> None:
    first = pd.DataFrame({"images": [128, 256], "loss": [3.0, 2.0]})
    second = pd.DataFrame({"images": [256, 64], "loss": [1.0, None]})
    table = curves_of({("a", 0): first, ("b", 1): second, ("c", 0): first.drop(columns="loss")}, "loss")
    assert list(table.columns) == ["images", "a seed_0", "b seed_1"]
    assert table["images"].tolist() == [128, 256]
    assert table["a seed_0"].tolist() == [3.0, 2.0]
    assert table["b seed_1"].isna().tolist() == [True, False]


def test_no_curve_gives_an_empty_table() -> None:
    assert curves_of({}, "loss").empty
