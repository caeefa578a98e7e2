"""`metadata.csv`, `.jsonl` or `.parquet` beside images: one row per image, with `file_name`.

The convention of Hugging Face's imagefolder: https://huggingface.co/docs/datasets/image_dataset.
"""

import json
from pathlib import Path

import pandas as pd

from stablerep.errors import DataError

NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
FILE_NAME = "file_name"


def find_metadata(folder: Path) -> Path | None:
    """Returns the folder's metadata file, or None.

    Raises:
        DataError: there is more than one.
    """
    found = [folder / name for name in NAMES if (folder / name).is_file()]
    if len(found) > 1:
        raise DataError(
            f"{folder}: has {' and '.join(path.name for path in found)}; must have one metadata file. Remove "
            "one."
        )
    return found[0] if found else None


def read_metadata(path: Path) -> pd.DataFrame:
    """Reads a metadata file.

    Returns:
        A row per image; `file_name` is a string, every other column as the file has it (CSV: strings).

    Raises:
        DataError: the file cannot be read, has no rows, no column `file_name`, or a row without a name.
    """
    try:
        if path.suffix == ".csv":
            table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        elif path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            # an object column keeps a label 1 an integer where another row has none
            table = pd.DataFrame([json.loads(line) for line in lines if line.strip()], dtype=object)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Write the file again.") from error
    if table.empty:
        raise DataError(f"{path}: has no rows; must have one per image. Add them.")
    if FILE_NAME not in table:
        raise DataError(
            f"{path}: has no column {FILE_NAME!r}; the columns are {', '.join(map(repr, table))}. Rename the "
            "column that holds the images' paths."
        )
    named = table[FILE_NAME].map(lambda name: isinstance(name, str) and name != "")
    if not named.all():
        raise DataError(f"{path}: row {int((~named).to_numpy().argmax()) + 1} has no {FILE_NAME}. Fill it.")
    return table
