"""What is compared between versions of an experiment: figures by arm, and training curves."""

from collections.abc import Mapping

import pandas as pd

Figures = dict[str, dict[str, dict[str, float]]]


def figures_by_arm(metrics: pd.DataFrame) -> Figures:
    """Returns the figures of the first task of each evaluation set.

    Args:
        metrics: as `stablerep.evaluation` makes them.

    Returns:
        By arm or reference, by `set.evaluation.metric`, and by `seed_<n>`.
    """
    first = metrics.groupby("set", sort=False)["task"].transform("first")
    figures: Figures = {}
    for row in metrics[metrics["task"] == first].to_dict(orient="records"):
        of_arm = figures.setdefault(row["arm"], {})
        name = f"{row['set']}.{row['evaluation']}.{row['metric']}"
        of_arm.setdefault(name, {})[f"seed_{row['seed']}"] = float(row["value"])
    return figures


def table_of_figures(figures: Figures) -> pd.DataFrame:
    """Returns one row for each arm and seed, with a column for each figure, for plots."""
    rows = {
        f"{arm} {seed}": {name: by_seed[seed] for name, by_seed in named.items() if seed in by_seed}
        for arm, named in figures.items()
        for seed in sorted({seed for by_seed in named.values() for seed in by_seed})
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm").reset_index()


def curves_of(histories: Mapping[tuple[str, int], pd.DataFrame], column: str) -> pd.DataFrame:
    """Returns one column of all histories side by side.

    Args:
        histories: by arm and seed; each has `images`, the views seen so far, and may have the column.
        column: such as `loss`.

    Returns:
        `images` in rising order, and a column `<arm> seed_<n>` for each history.
    """
    curves = [
        history.dropna(subset=[column]).set_index("images")[column].rename(f"{arm} seed_{seed}")
        for (arm, seed), history in histories.items()
        if column in history
    ]
    table = pd.concat(curves, axis=1) if curves else pd.DataFrame()
    return table.sort_index().rename_axis("images").reset_index()
