"""What `dvc plots` draws: the losses of all arms, and the accuracy of each arm on each evaluation set."""

from collections.abc import Mapping
from typing import Any

from pipelines.dvc.datasets import Datasets

LOSSES, FIGURES = "training_losses", "figures"  # datasets


def plots_of(datasets: Datasets, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the list `plots` of dvc.yaml.

    Args:
        datasets: the project's catalog.
        parameters: as composed; arms, seeds, evaluation sets and evaluations name the columns.
    """
    losses, figures = datasets.path(LOSSES), datasets.path(FIGURES)
    lines = [f"{arm} seed_{seed}" for arm in parameters["arms"] for seed in parameters["seeds"]]
    curves = {
        "x": {losses: "images"},
        "y": {losses: lines},
        "x_label": "views",
        "y_label": "loss",
        "title": "training loss",
    }
    evaluation = next(iter(parameters["evaluation"]))
    bars = {
        f"{evaluation} on {name}": {
            "template": "bar_horizontal",
            "x": {figures: f"{name}.{evaluation}.accuracy"},
            "y": {figures: "arm"},
            "title": f"{name}: {evaluation}",
        }
        for name in parameters["evaluation_sets"]
    }
    return [{title: plot} for title, plot in {"training loss": curves, **bars}.items()]
