"""A random order that a disk can follow."""

import numpy as np
import pytest

from stablerep.evaluation.block_shuffle import shuffle_in_blocks


@pytest.mark.parametrize("num_rows", [1, 63, 64, 1000, 1037])
def test_every_row_is_there_once(num_rows: int) -> None:
    order = shuffle_in_blocks(num_rows, np.random.default_rng(0), block=8, num_blocks=4)
    assert sorted(order) == list(range(num_rows))


def test_few_rows_are_mixed_completely() -> None:
    orders = [shuffle_in_blocks(100, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert orders[0].tolist() == orders[1].tolist()
    assert orders[0].tolist() != orders[2].tolist()
    # no two neighbours stay together more often than by chance
    assert (np.abs(np.diff(orders[0])) == 1).sum() < 10


def test_a_group_holds_whole_blocks_from_all_over_the_file() -> None:
    order = shuffle_in_blocks(6400, np.random.default_rng(0), block=8, num_blocks=16)
    for start in range(0, 6400, 128):
        group = order[start : start + 128]
        blocks = np.unique(group // 8)
        assert len(blocks) == 16, "a group reads 16 blocks, each of them whole"
        assert np.ptp(blocks) > 200, "of 800 blocks, they are from all over the file"
        assert not (np.diff(group) > 0).all()


def test_rows_of_a_sorted_file_come_with_many_classes_in_each_batch() -> None:
    classes = np.repeat(np.arange(100), 130)  # 13,000 rows, sorted by class
    order = shuffle_in_blocks(len(classes), np.random.default_rng(0), block=4, num_blocks=256)
    batches = classes[order][: len(order) // 256 * 256].reshape(-1, 256)
    assert min(len(set(batch)) for batch in batches.tolist()) > 60  # 92 of 100 by chance
