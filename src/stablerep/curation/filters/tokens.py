"""Drops captions that the text encoder would not hear to their end."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from stablerep.curation.filter import CaptionFilter, reason_where
from stablerep.curation.settings import WHERE
from stablerep.errors import ConfigError, check_range


@dataclass(frozen=True)
class Tokens(CaptionFilter):
    """Keeps captions of at most max_tokens tokens, the marks of start and end among them.

    Attributes:
        model_folder: the generator's, in diffusers' format; its `tokenizer` counts.
        max_tokens: 77 in CLIP's text encoders; the bound itself is kept.
    """

    model_folder: str
    max_tokens: int
    name: ClassVar[str] = "tokens"

    def __post_init__(self) -> None:
        """Checks the bound."""
        check_range("curation.filters.Tokens.max_tokens", self.max_tokens, 3, where=WHERE)

    @cached_property
    def _tokenizer(self) -> Any:
        folder = Path(self.model_folder, "tokenizer")
        if (folder / "tokenizer.json").is_file():
            from tokenizers import Tokenizer

            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        elif (folder / "vocab.json").is_file():
            from transformers import CLIPTokenizerFast

            tokenizer = CLIPTokenizerFast.from_pretrained(folder, local_files_only=True).backend_tokenizer
        else:
            raise ConfigError(
                f"curation.filters.Tokens: {folder} holds no tokenizer; must hold tokenizer.json or "
                "vocab.json. "
                f"Put the model there, name another folder in generator.model_folder, or take the filter "
                f"out of {WHERE}."
            )
        # a model's own cut and padding would hide the length
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Counts tokens."""
        encoded = self._tokenizer.encode_batch_fast(captions["text"].to_list())
        return pl.Series([len(each.ids) for each in encoded], dtype=pl.Int64)

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `too_many_tokens` above the bound."""
        return reason_where(score > self.max_tokens, "too_many_tokens")
