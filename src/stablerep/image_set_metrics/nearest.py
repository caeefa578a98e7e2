"""The nearest image of another set, exact and a block at a time, so that memory stays bounded.

Legend: N queries, M others, F features, W words of 64 bits.
"""

import numpy as np

from stablerep.generation.image_sets.image_hash import HASH_BITS, MAX_DISTANCE_BITS

_BLOCK = 512


def nearest_by_cosine(queries_NF: np.ndarray, others_MF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds the other image with the highest cosine to each query.

    Returns:
        (N,) float32 cosines and (N,) int64 rows of the others.
    """
    bank_MF = _unit(others_MF)
    cosines, rows = [], []
    for start in range(0, len(queries_NF), _BLOCK):
        block = _unit(queries_NF[start : start + _BLOCK]) @ bank_MF.T
        rows.append(block.argmax(axis=1))
        cosines.append(block.max(axis=1).clip(-1, 1))
    return np.concatenate(cosines), np.concatenate(rows)


def nearest_by_hash(queries: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds the other image whose hash differs least from each query's.

    Args:
        queries: (N, 32) uint8, of `PerceptualHash`.
        others: (M, 32) uint8.

    Returns:
        (N,) int64 distances in bits and (N,) int64 rows of the others.
    """
    words_MW = np.ascontiguousarray(others).view(np.uint64)
    distances, rows = [], []
    for start in range(0, len(queries), _BLOCK):
        block_NW = np.ascontiguousarray(queries[start : start + _BLOCK]).view(np.uint64)
        bits = np.zeros((len(block_NW), len(words_MW)), dtype=np.int64)
        for word in range(words_MW.shape[1]):
            bits += np.bitwise_count(block_NW[:, word, None] ^ words_MW[None, :, word])
        rows.append(bits.argmin(axis=1))
        distances.append(bits.min(axis=1))
    return np.concatenate(distances), np.concatenate(rows)


def is_copy(distances: np.ndarray) -> np.ndarray:
    """Says which distances in bits are those of copies; NaN means that no image was near enough."""
    return np.asarray(distances <= MAX_DISTANCE_BITS)


def share_of_bits(distances: np.ndarray) -> np.ndarray:
    """Returns the share of the hash's bits that agree."""
    return 1 - distances / HASH_BITS


def _unit(features: np.ndarray) -> np.ndarray:
    values = np.asarray(features, dtype=np.float32)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), np.finfo(np.float32).tiny)
