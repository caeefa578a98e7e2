"""Writes the table of results of the README from what a run of the default experiment kept.

python -m pipelines.reporting.results [RECORD]   # of the last run; writes docs/results.json and the README
python -m pipelines.reporting.results --check    # exit code 1 where the README has other figures than that
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.reporting.claims import RECORD
from pipelines.reporting.record import content_of, open_record
from stablerep.errors import DataError, StableRepError

FIGURES, PAGE = Path("docs/results.json"), Path("README.md")
_BEGIN, _END = "<!-- results: python -m pipelines.reporting.results -->", "<!-- end of results -->"
_CHECK = "--check"


def figures_of(record: Path) -> dict[str, Any]:
    """Returns the figures of a run, in per cent, on the first task of each evaluation set.

    Raises:
        DataError: there is no record, or it has no figures.
    """
    from stablerep.reporting.tables import list_tasks, make_table

    found = open_record(record, str(record))
    content = content_of(found)
    tables = [make_table(content, name, tasks[0]) for name, tasks in list_tasks(content.metrics).items()]
    cells: dict[str, dict[str, list[float]]] = {}
    for table in tables:
        for row in table.rows:
            for evaluation, cell in row.cells.items():
                each = cell.interval
                ends = [round(100 * value, 1) for value in (each.value, each.low, each.high)]
                cells.setdefault(row.arm, {})[f"{table.set_name}, {evaluation}"] = ends
    rows = [
        {
            "arm": row.arm,
            "method": row.method,
            "images": row.images,
            "is_reference": row.is_reference,
            "figures": cells[row.arm],
        }
        for row in tables[0].rows
    ]
    return {
        "experiment": found.experiment_name,
        "seeds": list(found.seeds),
        "num_units": {table.set_name: table.num_units for table in tables},
        "rows": rows,
    }


def table_of(figures: Mapping[str, Any]) -> str:
    """Returns the figures as a Markdown table."""
    from stablerep.reporting.tables import title_of

    columns = list(dict.fromkeys(name for row in figures["rows"] for name in row["figures"]))
    titles = [", ".join(title_of(part) for part in name.split(", ")) for name in columns]
    lines = [f"| arm | images | {' | '.join(titles)} |", "|---" * (2 + len(columns)) + "|"]
    for row in figures["rows"]:
        arm = f"*{title_of(row['arm'])}*" if row["is_reference"] else title_of(row["arm"])
        shown = [_shown(row["figures"].get(name)) for name in columns]
        lines.append(f"| {arm} | {title_of(row['images'])} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _shown(ends: Sequence[float] | None) -> str:
    return "-" if ends is None else "{:.1f} ({:.1f} to {:.1f})".format(*ends)


def with_table(text: str, table: str) -> str:
    """Returns a page with the table in place of the one that it has.

    Raises:
        DataError: the page lacks the comments around its table.
    """
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise DataError(f"{PAGE}: must have the lines {_BEGIN!r} and {_END!r} around its table")
    return f"{before}{begin}\n\n{table}\n\n{end}{after}"


def main(arguments: Sequence[str]) -> int:
    """Writes or checks the table; returns the exit status."""
    from stablerep.storage.whole_files import written_whole

    if len(arguments) > 1:
        print(f"usage: python -m pipelines.reporting.results [RECORD | {_CHECK}]", file=sys.stderr)
        return 2
    page = PAGE.read_text(encoding="utf-8")
    try:
        if list(arguments) == [_CHECK]:
            if with_table(page, table_of(json.loads(FIGURES.read_text(encoding="utf-8")))) == page:
                return 0
            print(f"{PAGE}: its table is not that of {FIGURES}; write it with this command", file=sys.stderr)
            return 1
        figures = figures_of(Path(arguments[0]) if arguments else Path(RECORD))
        texts = {FIGURES: json.dumps(figures, indent=1) + "\n", PAGE: with_table(page, table_of(figures))}
    except StableRepError as error:
        print(error, file=sys.stderr)
        return 1
    for path, text in texts.items():
        with written_whole(path) as beside:
            beside.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
