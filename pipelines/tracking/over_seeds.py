"""An arm's figures over all of its seeds, with intervals over seeds and units, for MLflow."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def figures_over_seeds(
    unit_scores: "pd.DataFrame", num_bootstrap: int, seed: int
) -> dict[str, dict[str, float]]:
    """Returns arm -> metric -> value, for arms with several seeds.

    Args:
        unit_scores: `arm`, `seed`, `set`, `task`, `evaluation`, `metric`, `unit`, `score`.
        num_bootstrap: resamples; see `stablerep.reporting.intervals`.
        seed: of the resamples.

    Returns:
        Named as for one seed: `<set>.<task>.<evaluation>.<metric>`, with `.low`, `.high` and `.num_seeds`.
    """
    from stablerep.reporting.intervals import Resampled

    figures: dict[str, dict[str, float]] = {}
    keys = ["set", "task", "evaluation", "metric"]
    for key, group in unit_scores.groupby(keys, sort=False):
        name = ".".join(map(str, key))
        num_seeds = group.groupby("arm")["seed"].nunique()
        several = group[group["arm"].isin(num_seeds[num_seeds > 1].index)]
        if several.empty:
            continue
        resampled = Resampled(several, num_bootstrap, seed)
        for arm in several["arm"].unique():
            found = resampled.interval(str(arm))
            figures.setdefault(str(arm), {}).update(
                {
                    name: found.value,
                    f"{name}.low": found.low,
                    f"{name}.high": found.high,
                    f"{name}.num_seeds": float(num_seeds[arm]),
                }
            )
    return figures
