"""Writes the page of claims from the record of a run of `experiment=claims`.

python -m pipelines.reporting.claims [RECORD SET_METRICS PAGE]

Without arguments it reads the last run's record and image-set metrics, and writes docs/claims.md.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.reporting.record import open_record
from stablerep.errors import DataError, StableRepError

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
    if len(arguments) not in (0, 3):
        print("usage: python -m pipelines.reporting.claims [RECORD SET_METRICS PAGE]", file=sys.stderr)
        return 2
    record, set_metrics, page = map(Path, arguments or (RECORD, SET_METRICS, PAGE))
    try:
        write_claims(record, set_metrics, page)
    except StableRepError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"wrote {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
