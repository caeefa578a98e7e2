"""Makes the digit scenes' captions file, once: from then on it is people's to edit.

python -m stablerep.digit_scenes.captions_file data/01_raw/captions.csv
"""

import csv
import io
import sys
from pathlib import Path

from stablerep.digit_scenes.grammar import draw_distinct_captions
from stablerep.errors import DataError, StableRepError
from stablerep.seeding import numpy_generator

NUM_CAPTIONS = 1024
COLUMNS = ("caption", "source", "licence")
SOURCE = "digit_scenes grammar"
LICENCE = "CC0-1.0"


def write_captions(path: Path, num_captions: int = NUM_CAPTIONS) -> None:
    """Writes `num_captions` distinct captions of the grammar, the same ones every time.

    Args:
        path: of the CSV file; its folder is made where it is missing.
        num_captions: rows under the header.

    Raises:
        DataError: a file is there already; it may hold somebody's edits.
    """
    captions = draw_distinct_captions(num_captions, numpy_generator("captions.csv", 0))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((caption, SOURCE, LICENCE) for caption in captions)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # "x" fails where a file stands, with no moment in between
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())
    except FileExistsError as error:
        raise DataError(
            f"{path}: is there already and may hold edits; it is not overwritten. "
            "Move it away to draw the captions anew."
        ) from error


def main() -> int:
    """Writes the file that the command line names; returns the exit status."""
    if len(sys.argv) != 2:
        print("usage: python -m stablerep.digit_scenes.captions_file PATH", file=sys.stderr)
        return 2
    try:
        write_captions(Path(sys.argv[1]))
    except StableRepError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
