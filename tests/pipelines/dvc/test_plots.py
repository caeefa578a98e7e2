"""The plots of dvc.yaml name columns that the run writes."""

from pathlib import Path

import pandas as pd
import yaml

from pipelines.dvc.datasets import Datasets
from pipelines.dvc.plots import plots_of
from stablerep.reporting.tracked import curves_of, figures_by_arm, table_of_figures

CATALOG = yaml.safe_load((Path(__file__).parents[3] / "conf/base/catalog.yml").read_text())
PARAMETERS = {
    "arms": {"a": {}, "b": {}},
    "seeds": [0, 1],
    "evaluation_sets": {"photos": {}},
    "evaluation": {"knn": {}, "linear_probe": {}},
}


def test_every_column_that_is_plotted_is_one_that_the_report_writes() -> None:
    curves, bars = (next(iter(each.values())) for each in plots_of(Datasets(CATALOG), PARAMETERS))
    history = pd.DataFrame({"images": [1], "loss": [0.0]})
    losses = curves_of({(arm, seed): history for arm in "ab" for seed in (0, 1)}, "loss")
    [(file, lines)] = curves["y"].items()
    assert [*curves["x"].values(), *lines] == list(losses.columns)
    assert file == CATALOG["training_losses"]["filepath"]
    row = ("a", 0, "photos", "class", "knn", "accuracy", 0.5)
    metrics = pd.DataFrame([row], columns=["arm", "seed", "set", "task", "evaluation", "metric", "value"])
    columns = table_of_figures(figures_by_arm(metrics)).columns
    assert {*bars["x"].values(), *bars["y"].values()} <= set(columns)
