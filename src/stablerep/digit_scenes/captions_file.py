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
# What captions from the web look like, so that curation has something to do. `{}` is a caption of the file.
# These rows are taken out again: equal to another row, or no caption of an image.
_REJECTED = (
    "{}",
    "{}",
    "{}",
    "  {}  ",
    "<p class='alt'>{}</p>",
    "{}&nbsp;&#8203;",
    "{} www.example.com/scenes/0042.html",
    "{}, image from https://example.org/large/0117.png",
    "{}, to order write to prints@example.com",
    "eine braune Null auf weißem Papier, mit der Hand geschrieben",
    "un cinq violet écrit à la main sur un fond jaune",
    "",
    "   ",
    "click here to enlarge",
    "IMG_2041 copy (2)",
    "untitled",
    "{} and {} and {} on the same sheet",
    "{} (previous page | next page | back to the top of the page)",
)
# rewritten to the caption, and kept
_REWRITTEN = ("<b>{}</b>", "{}&nbsp;", "<i>{}</i>&#8203;")
_EVERY = 41  # captions between two that a flaw is made of


def write_captions(path: Path, num_captions: int = NUM_CAPTIONS, flawed: bool = False) -> None:
    """Writes `num_captions` distinct captions of the grammar, the same ones every time.

    Args:
        path: of the CSV file; its folder is made where it is missing.
        num_captions: that curation keeps.
        flawed: writes some of them with markup, and rows below them that curation rejects.

    Raises:
        DataError: a file is there already; it may hold somebody's edits.
    """
    captions = clean_captions(num_captions)
    if flawed:
        captions = with_flaws(captions)
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


def clean_captions(num_captions: int = NUM_CAPTIONS) -> list[str]:
    """Returns distinct captions of the grammar, the same ones every time; fewer are the first of more."""
    return draw_distinct_captions(num_captions, numpy_generator("captions.csv", 0))


def with_flaws(captions: list[str]) -> list[str]:
    """Returns captions as a collection from the web has them: curation finds the given ones in it.

    Args:
        captions: distinct ones, enough of them that none is used twice.
    """
    unused = iter(captions[_EVERY::_EVERY])
    rejected = [flaw.format(*(next(unused) for _ in range(flaw.count("{}")))) for flaw in _REJECTED]
    written = {text: flaw.format(text) for flaw, text in zip(_REWRITTEN, unused, strict=False)}
    return [written.get(text, text) for text in captions] + rejected


def main() -> int:
    """Writes the file that the command line names; returns the exit status."""
    if len(sys.argv) != 2:
        print("usage: python -m stablerep.digit_scenes.captions_file PATH", file=sys.stderr)
        return 2
    try:
        write_captions(Path(sys.argv[1]), flawed=True)
    except StableRepError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
