"""Texts as they are matched: lower case, words apart by single spaces, so that ` dog ` is a whole word."""

from collections.abc import Iterable

import polars as pl


def folded() -> pl.Expr:
    """Returns the expression of the column `text`, with a space before the first and behind the last word."""
    words = (
        pl.col("text").str.to_lowercase().str.replace_all(r"[^\p{L}\p{M}\p{N}]+", " ").str.strip_chars(" ")
    )
    return pl.format(" {} ", words)


def fold(texts: Iterable[str]) -> list[str]:
    """Folds texts, such as the entries of a list; no space stands around them."""
    table = pl.DataFrame({"text": list(texts)}, {"text": pl.String})
    return table.select(folded().str.strip_chars(" ")).to_series().to_list()
