"""Drops captions that the text encoder would not hear to their end."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from stablerep.curation.clip_tokenizer import clip_tokenizer
from stablerep.curation.filter import CaptionFilter, reason_where
from stablerep.curation.settings import WHERE
from stablerep.errors import ConfigError, check_range


@dataclass(frozen=True)
class _TokenCount(CaptionFilter):
    """Keeps captions of at most max_tokens tokens, the marks of start and end among them.

    Attributes:
        max_tokens: 77 in CLIP's text encoders; the bound itself is kept.
    """

    max_tokens: int
    name: ClassVar[str] = "tokens"

    def __post_init__(self) -> None:
        """Checks the bound."""
        check_range(f"curation.filters.{type(self).__name__}.max_tokens", self.max_tokens, 3, where=WHERE)

    @abstractmethod
    def _load(self) -> Any:
        """Returns a tokenizer of the library `tokenizers`."""

    @cached_property
    def _tokenizer(self) -> Any:
        tokenizer = self._load()
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


@dataclass(frozen=True)
class Tokens(_TokenCount):
    """Counts as the generator's tokenizer does.

    Attributes:
        model_folder: the generator's, in diffusers' format; its `tokenizer` counts.
    """

    model_folder: str

    def _load(self) -> Any:
        return _tokenizer_of(self.model_folder)


@dataclass(frozen=True)
class ClipTokens(_TokenCount):
    """Counts as a named model's tokenizer does, or as CLIP's where none is named.

    For captions from the web: the embedded generator's tokenizer knows few words and spells out the others,
    so it is no measure of their length.

    Attributes:
        named_folder: of a model in diffusers' format, absolute or relative to the project; None for CLIP's
            vocabulary.
    """

    named_folder: str | None = None

    def _load(self) -> Any:
        return clip_tokenizer() if self.named_folder is None else _tokenizer_of(self.named_folder)


def _tokenizer_of(model_folder: str) -> Any:
    folder = Path(model_folder, "tokenizer")
    if (folder / "tokenizer.json").is_file():
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    if (folder / "vocab.json").is_file():
        from transformers import CLIPTokenizerFast

        return CLIPTokenizerFast.from_pretrained(folder, local_files_only=True).backend_tokenizer
    raise ConfigError(
        f"curation.filters: {folder} holds no tokenizer; must hold tokenizer.json or vocab.json. "
        "Put the model there, name another folder in generator.model_folder, or take the filter "
        f"out of {WHERE}."
    )
