"""Captions that are used for evaluation: no arm may be trained on them.

A CSV file (RFC 4180) with the column `caption`. The gates hold every image set against it.
"""

from pathlib import Path

import pandas as pd

from stablerep.curation.reading.csv_lines import read_file_of_people, read_named_rows
from stablerep.errors import DataError

COLUMNS = ("caption",)
_KEEPS = "no caption of an evaluation set is trained on"


def read_evaluation_captions(path: Path) -> pd.DataFrame:
    """Reads the captions.

    Returns:
        The column `caption` (str), in the file's order; no rows if no evaluation set has captions.

    Raises:
        DataError: the file is missing, unreadable or malformed, or a caption is empty; the line is named.
    """
    _, rows = read_named_rows(path, read_file_of_people(path, COLUMNS, _KEEPS), COLUMNS)
    for row in rows:
        if not row.values["caption"]:
            raise DataError(
                f"{path}: line {row.line}: caption: is empty; must have text. Fix the line, or remove it."
            )
    return pd.DataFrame({"caption": [row.values["caption"] for row in rows]}, dtype="str")
