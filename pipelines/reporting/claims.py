"""Writes the page of claims from the record of a run of `experiment=claims`.

python -m pipelines.reporting.claims [RECORD SET_METRICS PAGE]

Without arguments it reads the last run's record and image-set metrics, and writes docs/claims.md.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.reporting.record import open_record
from pipelines.reporting.scripts import run_script
from stablerep.errors import DataError

RECORD = "data/08_reporting/record"  # as the catalog has it, like the table of metrics
SET_METRICS = "data/07_model_output/image_set_metrics.parquet"
PAGE = "docs/claims.md"


def write_claims(record: Path, set_metrics: Path, page: Path) -> None:
    """Writes the page.

    Args:
        record: of the run; see `stablerep.reporting.record`.
        set_metrics: the run's metrics of image sets.
        page: Markdown.

    Raises:
        DataError: there is no such run, or it has no arm of the claims.
    """
    from stablerep.reporting.claims import Run, claims_markdown
    from stablerep.storage.tables import read_table
    from stablerep.storage.whole_files import written_whole

    found = open_record(record, str(record))
    if not set_metrics.is_file():
        raise DataError(f"{set_metrics}: missing; run `kedro run --pipelines image_set_metrics` first.")
    configuration = found.configuration
    run = Run(
        found.metrics,
        found.unit_scores,
        configuration["arms"],
        configuration["image_sets"],
        found.seeds,
        int(configuration["reporting"]["num_bootstrap"]),
        read_table(set_metrics),
        found.experiment_name,
    )
    text = claims_markdown(run)
    page.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(page) as beside:
        beside.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Writes the page that the arguments name; returns the exit status."""
    defaults = {"RECORD": RECORD, "SET_METRICS": SET_METRICS, "PAGE": PAGE}
    return run_script("pipelines.reporting.claims", write_claims, defaults, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
