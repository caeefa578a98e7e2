"""Drops captions that repeat another one but for a few letters.

MinHash over shingles of five bytes, by rensa, and locality-sensitive hashing into bands: A. Broder, On the
resemblance and containment of documents, 1997; J. Leskovec, A. Rajaraman, J. Ullman, Mining of massive
datasets, section 3.4. What shares a band is compared by signature, of which the lowest eight bits are kept
(P. Li, A. C. Konig, b-bit minwise hashing, 2010): 128 bytes a caption.

Captions from one template share bands without being alike, so that a band may have any number of kept
captions. Each caption is compared with the newest `_MAX_KEPT` of a band alone, and work stays linear. A
caption that is like an older one of the band is missed unless the two share another band; at a similarity of
0.8 they share 2.7 of the 16 bands on average. The log says for how many captions the bound applied.
Legend: N captions, C those that share a band with another, P permutations, B bands.
"""

import logging
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from stablerep.curation.filter import Batches, CaptionFilter, CorpusFilter, ScoredInSurvey, reason_from
from stablerep.curation.folding import folded
from stablerep.curation.keys import Numbers, equal_groups, mix, numbers_of_ids
from stablerep.curation.settings import WHERE
from stablerep.errors import check_range

logger = logging.getLogger(__name__)

_SHINGLE = 5  # bytes of folded text: about a word of English
_P, _B = 128, 16
# Bands of 8: two captions of similarity 0.8 share one in 95 cases of 100, of 0.5 in 6.
_SEED = 0  # of the permutations: the same captions are always alike
_SAME_BY_CHANCE = 1 / 256  # of the lowest eight bits
_MAX_KEPT = 64  # of a band, to which a caption is compared
_CHUNK = 10_000  # captions whose signatures are made at once


@dataclass(frozen=True)
class NearDuplicates(CorpusFilter):
    """Keeps one of captions that are alike, the one with the smallest id, so that no order matters.

    In the order of their ids, a caption is dropped where it is like one that was kept; so no two that are
    kept are alike, as far as the bands find them. The score is the similarity to the kept caption most like
    it, the share of shingles that the two have in common (Jaccard) as the signatures estimate it, within
    about 0.04; 0 where no other shares a band.

    Attributes:
        min_similarity: from which captions are one; bands find few below 0.6.
    """

    min_similarity: float = 0.8
    name: ClassVar[str] = "near_duplicates"

    def __post_init__(self) -> None:
        """Checks the bound."""
        check_range(
            "curation.filters.NearDuplicates.min_similarity", self.min_similarity, 0.5, 1, where=WHERE
        )

    def survey(self, batches: Batches, folder: Path) -> CaptionFilter:
        """Finds similar captions; holds 4 bytes per caption, and 200 per caption that shares a band."""
        num = _write_signatures(batches, folder)
        places, groups = _candidates(folder)
        scores = np.zeros(num, dtype=np.float32)
        members = np.unique(places)  # C
        if len(members):
            signatures = _read_rows(folder / "signatures", members, np.dtype((np.uint8, _P)))
            ids = _read_rows(folder / "ids", members, np.dtype(np.uint64))
            order = np.argsort(places, kind="stable")
            starts = np.r_[np.searchsorted(places[order], members), len(places)]
            scores[members] = _greedy(
                np.argsort(ids, kind="stable"), signatures, groups[order], starts, self.min_similarity
            )
        return ScoredInSurvey(self, scores)

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `near_duplicate` from the bound on."""
        return reason_from(score, self.min_similarity, "near_duplicate")


def _write_signatures(batches: Batches, folder: Path) -> int:
    """Writes ids, signatures and the hash of each band; returns N."""
    names = ["ids", "signatures", *(f"band-{band}" for band in range(_B))]
    files = {name: (folder / name).open("wb") for name in names}
    num = 0
    try:
        for batch in batches():
            numbers_of_ids(batch["caption_id"]).tofile(files["ids"])
            for part in batch.select(folded().alias("text")).iter_slices(_CHUNK):
                full = minhash(part["text"])
                (full & np.uint32(0xFF)).astype(np.uint8).tofile(files["signatures"])
                for band, hashes in enumerate(_bands(full)):
                    hashes.tofile(files[f"band-{band}"])
            num += len(batch)
    finally:
        for file in files.values():
            file.close()
    return num


def minhash(texts: pl.Series) -> npt.NDArray[np.uint32]:
    """Returns the signatures (N, P) of folded texts."""
    from rensa import RMinHash

    lengths = texts.str.len_bytes().to_numpy().astype(np.int64)
    data = np.frombuffer("".join(texts.to_list()).encode() + bytes(8), dtype=np.uint8)
    windows = np.zeros(len(data) - 8, dtype=np.uint64)
    for offset in range(_SHINGLE):
        windows |= data[offset : offset + len(windows)].astype(np.uint64) << np.uint64(8 * offset)
    # a text shorter than a shingle is one: itself with what follows cut off
    counts = np.maximum(lengths - _SHINGLE + 1, 1)
    starts = np.r_[0, np.cumsum(lengths)[:-1]]
    offsets = np.r_[0, np.cumsum(counts)]
    places = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts) + np.repeat(starts, counts)
    shingles = windows[places]
    short = np.repeat(lengths < _SHINGLE, counts)
    if short.any():
        kept_bits = np.uint64(8) * np.repeat(lengths, counts)[short].astype(np.uint64)
        shingles[short] &= (np.uint64(1) << kept_bits) - np.uint64(1)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        mix(shingles), offsets.astype(np.uint64), _P, _SEED
    )
    return np.array(matrix.to_rows(), dtype=np.uint32)


def _bands(signatures: npt.NDArray[np.uint32]) -> list[Numbers]:
    rows = signatures.reshape(len(signatures), _B, _P // _B).astype(np.uint64)
    hashes = np.zeros((len(signatures), _B), dtype=np.uint64)
    for row in range(rows.shape[2]):
        hashes = mix(hashes ^ rows[:, :, row])
    return [np.ascontiguousarray(hashes[:, band]) for band in range(_B)]


def _candidates(folder: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns places of captions that share a band with another, and a number for each group of a band."""
    places, groups = [], []
    for band in range(_B):
        for found, firsts in equal_groups(folder / f"band-{band}"):
            places.append(found)
            groups.append(firsts * _B + band)
    return np.concatenate(places), np.concatenate(groups)


def _read_rows(path: Path, places: npt.NDArray[np.int64], kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """Returns the rows at rising places of a file, which is read in parts."""
    size = 200_000
    parts = []
    with path.open("rb") as file:
        start = 0
        while len(rows := np.fromfile(file, kind, size)):
            low, high = np.searchsorted(places, [start, start + len(rows)])
            parts.append(rows[places[low:high] - start])
            start += len(rows)
    return np.concatenate(parts)


def _greedy(
    order: npt.NDArray[np.int64],
    signatures: npt.NDArray[np.uint8],
    groups: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    min_similarity: float,
) -> npt.NDArray[np.float32]:
    """Returns the similarity of each to the kept one before it that is most like it.

    The groups of each of the C stand together, from its entry of `starts` (C + 1) on.
    """
    kept: dict[int, deque[int]] = {}
    full: set[int] = set()  # groups of which an older one was left out
    num_bounded = 0
    scores = np.zeros(len(order), dtype=np.float32)
    for member in order.tolist():
        own = groups[starts[member] : starts[member + 1]].tolist()
        num_bounded += not full.isdisjoint(own)
        heads = {head for group in own for head in kept.get(group, ())}
        if heads:
            same = (signatures[sorted(heads)] == signatures[member]).mean(axis=1)
            most = (float(same.max()) - _SAME_BY_CHANCE) / (1 - _SAME_BY_CHANCE)
            scores[member] = max(most, 0.0)
        if scores[member] < np.float32(min_similarity):
            for group in own:
                newest = kept.setdefault(group, deque(maxlen=_MAX_KEPT))
                if len(newest) == _MAX_KEPT:
                    full.add(group)
                newest.append(member)
    if num_bounded:
        logger.warning(
            "near_duplicates: %d captions share a band with more than %d kept ones, as captions from a "
            "template do; each was compared only with the newest %d of the band, so a near-duplicate of "
            "an older one may stay",
            num_bounded, _MAX_KEPT, _MAX_KEPT,
        )  # fmt: skip
    return scores
