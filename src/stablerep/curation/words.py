"""Lists of words: concepts, block lists, boilerplate; matched as whole words by Aho-Corasick.

Source: A. V. Aho, M. J. Corasick, Efficient string matching, 1975, as in polars' `extract_many`: the time
does not grow with the number of entries.
"""

import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from stablerep.curation.folding import fold, folded
from stablerep.errors import ConfigError

_IMAGENET = "data/_info/imagenet_synset_to_lemma.txt"  # of timm, Apache-2.0
_MIN_LETTERS = 3  # of an ImageNet name: "a" is vitamin A there
# English words without an image that WordNet also knows as nouns
_NO_CONCEPTS = frozenset(
    {"and", "are", "can", "for", "has", "have", "his", "its", "may", "not", "one", "the", "was"}
)


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
        entries = [each for each in dict.fromkeys(fold(self._read())) if each]
        if not entries:
            raise ConfigError(
                f"{self}: no words; must hold at least one. Add some, or leave out what takes it."
            )
        return entries

    @cached_property
    def _entries_of_patterns(self) -> dict[str, str]:
        """What is sought -> the entry that it stands for; an entry of the list stands for itself."""
        plurals = {f" {_plural(each)} ": each for each in self.entries} if self.plurals else {}
        return plurals | {f" {each} ": each for each in self.entries}

    def _read(self) -> list[str]:
        raise NotImplementedError

    def matches(self, captions: pl.DataFrame) -> pl.DataFrame:
        """Finds every entry in every caption.

        Args:
            captions: with `text`.

        Returns:
            Columns place (UInt32, of the caption) and entry (String), a row for each entry that a caption
            holds, in no order.
        """
        patterns = self._entries_of_patterns
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
    """A file in UTF-8, an entry a line; what follows a `#` is a comment.

    Attributes:
        path: relative to the project, or absolute.
        plurals: see `WordList`.
    """

    path: str
    plurals: bool = False

    def _read(self) -> list[str]:
        try:
            lines = Path(self.path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{self.path}: cannot be read ({error}); must be a list of words in UTF-8, one a line. "
                "Fix the path in conf/params/curation/<name>.yaml."
            ) from error
        return [line.split("#")[0] for line in lines]


@dataclass(frozen=True)
class ImageNetNames(WordList):
    """The names of ImageNet-22k's classes, which are nouns of WordNet; read from timm, which ships them.

    Attributes:
        plurals: see `WordList`.
    """

    plurals: bool = True

    def _read(self) -> list[str]:
        spec = importlib.util.find_spec("timm")  # not imported: that takes seconds
        if spec is None or not spec.submodule_search_locations:
            raise ConfigError("ImageNetNames: timm is missing. Install the project's dependencies.")
        path = Path(spec.submodule_search_locations[0], _IMAGENET)
        lines = path.read_text(encoding="utf-8").splitlines()
        names = [name for line in lines for name in line.split("\t", 1)[1].split(", ")]
        return [name for name in names if len(name) >= _MIN_LETTERS and name.lower() not in _NO_CONCEPTS]


def _plural(entry: str) -> str:
    if entry.endswith(("s", "x", "z", "ch", "sh")):
        return f"{entry}es"
    if entry.endswith("y") and not entry.endswith(("ay", "ey", "iy", "oy", "uy")):
        return f"{entry[:-1]}ies"
    return f"{entry}s"
