"""Lists of words: concepts, block lists, boilerplate; matched as whole words by Aho-Corasick.

Source: A. V. Aho, M. J. Corasick, Efficient string matching, 1975, as in polars' `extract_many`: the time
does not grow with the number of entries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from stablerep.curation.folding import fold, folded
from stablerep.errors import ConfigError


class WordList:
    """Entries to be found in captions, each of one word or more.

    Attributes:
        plurals: whether the regular plural of an English noun is found as the noun.
    """

    plurals: bool = False

    @cached_property
    def entries(self) -> list[str]:
        """The entries, folded, each once, in their order.

        Raises:
            ConfigError: there is none.
        """
        return list(dict.fromkeys(entry for entry in self.entries_of_forms.values()))

    @cached_property
    def entries_of_forms(self) -> dict[str, str]:
        """What is sought, folded -> the entry that it stands for; an entry of the list stands for itself.

        Raises:
            ConfigError: there is none.
        """
        rows = self._read()
        entries = fold(entry for entry, _ in rows)
        if not any(entries):
            raise ConfigError(
                f"{self}: no words; must hold at least one. Add some, or remove the setting that uses this "
                "list."
            )
        further = fold(form for _, forms in rows for form in forms)
        of_entries = [entry for entry, (_, forms) in zip(entries, rows, strict=True) for _ in forms]
        plurals = {_plural(each): each for each in entries if each} if self.plurals else {}
        forms = plurals | dict(zip(further, of_entries, strict=True)) | {each: each for each in entries}
        return {form: entry for form, entry in forms.items() if form and entry}

    def _read(self) -> list[tuple[str, list[str]]]:
        """Returns each entry with further forms of it, such as `child` with `children`."""
        raise NotImplementedError

    def matches(self, captions: pl.DataFrame) -> pl.DataFrame:
        """Finds every entry in every caption.

        Args:
            captions: with `text`.

        Returns:
            Columns place (UInt32, of the caption) and entry (String), a row for each entry that a caption
            holds, in no order.
        """
        patterns = {f" {form} ": entry for form, entry in self.entries_of_forms.items()}
        found = captions.select(folded().str.extract_many(list(patterns), overlapping=True).alias("entry"))
        found = found.with_row_index("place").explode("entry", empty_as_null=True).drop_nulls("entry")
        return found.with_columns(pl.col("entry").replace_strict(patterns)).unique()

    def counts(self, captions: pl.DataFrame) -> pl.Series:
        """Returns how many different entries each caption holds (Int64)."""
        per = self.matches(captions).group_by("place").agg(pl.len().cast(pl.Int64).alias("num"))
        places = pl.DataFrame({"place": pl.Series(range(len(captions)), dtype=pl.UInt32)})
        return places.join(per, on="place", how="left", maintain_order="left")["num"].fill_null(0)


@dataclass(frozen=True)
class WordFile(WordList):
    """A file in UTF-8, one entry per line; what follows a `#` is a comment.

    Behind a colon stand further forms of the entry, separated by commas: `child: children`.

    Attributes:
        path: relative to the project, or absolute; several for one list of them all.
        plurals: see `WordList`.
    """

    path: str | Sequence[str]
    plurals: bool = False

    def _read(self) -> list[tuple[str, list[str]]]:
        paths = [self.path] if isinstance(self.path, str) else self.path
        rows = [line.split("#")[0].partition(":") for path in paths for line in _lines(path)]
        return [(entry, forms.split(",")) for entry, _, forms in rows]


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}); must be a list of words in UTF-8, one per line. "
            "Fix the path in conf/params/curation/<name>.yaml."
        ) from error


def _plural(entry: str) -> str:
    if entry.endswith(("s", "x", "z", "ch", "sh")):
        return f"{entry}es"
    if entry.endswith("y") and not entry.endswith(("ay", "ey", "iy", "oy", "uy")):
        return f"{entry[:-1]}ies"
    return f"{entry}s"
