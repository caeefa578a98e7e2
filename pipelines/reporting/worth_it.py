"""Writes the answer to "is synthetic worth it?" as Markdown, from the record of a run.

python -m pipelines.reporting.worth_it [RECORD PAGE]

Without arguments it reads the last run's record and writes docs/worth_it.md.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.reporting.claims import RECORD
from pipelines.reporting.record import content_of, open_record
from pipelines.reporting.scripts import run_script
from stablerep.errors import DataError

PAGE = "docs/worth_it.md"


def write_answer(record: Path, page: Path) -> None:
    """Writes the page.

    Args:
        record: of the run; see `stablerep.reporting.record`.
        page: Markdown.

    Raises:
        DataError: there is no such run, or it compares no real and synthetic images at equal numbers.
    """
    from stablerep.reporting.worth_it import answer, worth_markdown
    from stablerep.storage.whole_files import written_whole

    content = content_of(open_record(record, str(record)))
    worth = answer(content)
    if worth is None:
        raise DataError(
            f"{record}: the run of {content.experiment_name!r} has no arms that compare real with synthetic "
            "images at equal numbers. Run experiment=worth_it."
        )
    page.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(page) as beside:
        beside.write_text(f"# Is synthetic worth it?\n\n{worth_markdown(worth)}", encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Writes the page that the arguments name; returns the exit status."""
    defaults = {"RECORD": RECORD, "PAGE": PAGE}
    return run_script("pipelines.reporting.worth_it", write_answer, defaults, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
