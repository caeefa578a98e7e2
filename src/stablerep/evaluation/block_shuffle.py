"""A random order of rows that is fast to read from a disk.

Features of many images lie in one file, often sorted by class. In a fully random order, rows would be read
one by one from all over the file. Here the file is cut into blocks, and one group of random blocks is mixed
at a time.

Legend: N rows.
"""

import numpy as np

BLOCK = 64  # rows that lie next to each other: 200 kB of 768 features, so a disk reads and does not seek
NUM_BLOCKS = 1024  # that are mixed at a time: 200 MB of 768 features, and blocks of many classes


def shuffle_in_blocks(
    num_rows: int, rng: np.random.Generator, block: int = BLOCK, num_blocks: int = NUM_BLOCKS
) -> np.ndarray:
    """Returns a permutation of the (N,) rows; up to `block * num_blocks` of them are mixed completely.

    Args:
        num_rows: N.
        rng: draws the order of the blocks and of the rows of each group of blocks.
        block: rows of a block.
        num_blocks: of a group.
    """
    if num_rows <= block * num_blocks:
        return rng.permutation(num_rows)
    starts = rng.permutation(np.arange(0, num_rows, block))
    groups = [starts[first : first + num_blocks] for first in range(0, len(starts), num_blocks)]
    return np.concatenate([rng.permutation(_rows_of(group, block, num_rows)) for group in groups])


def _rows_of(starts: np.ndarray, block: int, num_rows: int) -> np.ndarray:
    rows = (starts[:, None] + np.arange(block)).ravel()
    return rows[rows < num_rows]
