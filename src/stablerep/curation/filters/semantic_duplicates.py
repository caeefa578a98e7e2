"""Drops captions that say what another one says in other words.

Source: SemDeDup, A. Abbas et al., arXiv:2303.09540, which compares inside of clusters. Here every caption is
compared with all that are kept: clusters change when captions leave, so that a second run would drop others,
and up to ten million captions the comparison costs less than their embedding. The embedding is that of the
generator's own text encoder: captions with the same embedding would give the same image.
Legend: N captions, D dimensions.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from stablerep.curation.filter import Batches, CaptionFilter, CorpusFilter, ScoredInSurvey, reason_from
from stablerep.curation.keys import Numbers, numbers_of_ids
from stablerep.curation.settings import WHERE
from stablerep.errors import ConfigError, check_range

_BLOCK = 2_048  # captions compared at once
Embeddings = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SemanticDuplicates(CorpusFilter):
    """Keeps one of captions whose embeddings are alike, the one with the smallest id.

    The score is the highest cosine to a kept caption, 0 without one. It holds an embedding of each caption
    in memory, and of the kept ones a second: 4 KiB at 512 dimensions.

    Attributes:
        model_folder: in diffusers' format; its `tokenizer` and `text_encoder` embed.
        min_similarity: cosine from which captions are one; look at the scores before you set it.
        batch_size: captions embedded at once.
    """

    model_folder: str
    min_similarity: float
    batch_size: int = 256
    name: ClassVar[str] = "semantic_duplicates"

    def __post_init__(self) -> None:
        """Checks the bounds."""
        check_range(
            "curation.filters.SemanticDuplicates.min_similarity", self.min_similarity, 0, 1, where=WHERE
        )
        check_range("curation.filters.SemanticDuplicates.batch_size", self.batch_size, 1, where=WHERE)

    def survey(self, batches: Batches, folder: Path) -> CaptionFilter:
        """Embeds every caption and compares them."""
        ids: list[Numbers] = []
        parts: list[Embeddings] = []
        model: Any = None
        for batch in batches():
            model = model or _load(self.model_folder)
            ids.append(numbers_of_ids(batch["caption_id"]))
            parts.append(_embed(model, batch["text"].to_list(), self.batch_size))
        if not parts:
            return ScoredInSurvey(self, np.empty(0, np.float32))
        scores = compare(np.concatenate(parts), np.concatenate(ids), self.min_similarity)
        return ScoredInSurvey(self, scores)

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `semantic_duplicate` from the bound on."""
        return reason_from(score, self.min_similarity, "semantic_duplicate")


def compare(embeddings: Embeddings, ids: Numbers, min_similarity: float) -> npt.NDArray[np.float32]:
    """Returns each caption's highest cosine to a kept one before it, by id; to six decimals.

    Args:
        embeddings: (N, D) of unit length.
        ids: (N,), whose order decides who is kept.
        min_similarity: from which a caption is not kept.
    """
    order = np.argsort(ids, kind="stable")
    scores = np.zeros(len(ids), dtype=np.float32)
    kept = np.empty_like(embeddings)
    num = 0
    for start in range(0, len(order), _BLOCK):
        rows = order[start : start + _BLOCK]
        block = embeddings[rows]
        highest = np.zeros(len(rows), dtype=np.float32)
        for at in range(0, num, _BLOCK):
            np.maximum(highest, (block @ kept[at : min(at + _BLOCK, num)].T).max(axis=1), out=highest)
        among = block @ block.T
        own: list[int] = []
        for row in range(len(rows)):
            if own:
                highest[row] = max(highest[row], among[row, own].max())
            # rounded, for sums in another order differ behind
            highest[row] = round(float(min(highest[row], 1.0)), 6)
            if highest[row] < np.float32(min_similarity):
                own.append(row)
        kept[num : num + len(own)] = block[own]
        num += len(own)
        scores[rows] = highest
    return scores


def _load(folder: str) -> tuple[Any, Any]:
    from transformers import CLIPTextModel, CLIPTokenizer

    try:
        tokenizer = CLIPTokenizer.from_pretrained(Path(folder, "tokenizer"), local_files_only=True)
        encoder = CLIPTextModel.from_pretrained(Path(folder, "text_encoder"), local_files_only=True)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"curation.filters.SemanticDuplicates: {folder} holds no CLIP text encoder ({error}); must hold "
            f"tokenizer and text_encoder. Name another in generator.model_folder, or take it out of {WHERE}."
        ) from error
    return tokenizer, encoder.eval()


def _embed(model: tuple[Any, Any], texts: list[str], batch_size: int) -> Embeddings:
    """Returns (N, D) of unit length, each text embedded apart from its neighbours' lengths."""
    import torch

    from stablerep.models.text import tokenize

    tokenizer, encoder = model
    parts = []
    with torch.inference_mode():
        for start in range(0, len(texts), batch_size):
            token_ids = tokenize(tokenizer, texts[start : start + batch_size])
            pooled = encoder(token_ids).pooler_output.float()
            parts.append(torch.nn.functional.normalize(pooled, dim=1).numpy())
    return np.concatenate(parts)
