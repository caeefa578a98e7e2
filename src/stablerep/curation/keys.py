"""Captions as 64-bit numbers: draws that depend on nothing else, and equal numbers found on disk."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

Numbers = npt.NDArray[np.uint64]
_PART_SIZE = 500_000  # numbers sorted at once: 8 MB with their places
_READ_SIZE = 500_000


def mix(numbers: Numbers) -> Numbers:
    """Mixes 64 bits so that each bit of the result depends on all.

    Source: the finaliser of SplitMix64, Steele, Lea, Flood, Fast splittable pseudorandom number generators,
        2014.
    """
    with np.errstate(over="ignore"):
        mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def numbers_of_ids(ids: pl.Series) -> Numbers:
    """Returns the hash that is in each caption's id."""
    hexadecimal = "".join(ids.str.slice(2).to_list())
    return np.frombuffer(bytes.fromhex(hexadecimal), dtype=">u8").astype(np.uint64)


def draws(numbers: Numbers) -> npt.NDArray[np.float64]:
    """Returns numbers in [0, 1), uniform where the given ones are mixed."""
    return (numbers >> np.uint64(11)).astype(np.float64) / 2.0**53


def equal_groups(path: Path) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Finds the numbers that occur more than once in a file of them.

    The file is read once for each half million numbers that it holds, so that memory stays flat.

    Args:
        path: of uint64 as they lie in memory.

    Yields:
        (places, firsts): places of such numbers in the file, and of each number's first one; equal numbers
        lie side by side, in the file's order.
    """
    total = path.stat().st_size // 8
    num_parts = max(1, -(-total // _PART_SIZE))
    for part in range(num_parts):
        places, numbers = _part(path, part, num_parts)
        order = np.argsort(numbers, kind="stable")
        numbers, places = numbers[order], places[order]
        starts = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])[: len(numbers)]
        sizes = np.diff(np.r_[starts, len(numbers)])
        repeated = np.repeat(sizes > 1, sizes)
        yield places[repeated], np.repeat(places[starts], sizes)[repeated]


def _part(path: Path, part: int, num_parts: int) -> tuple[npt.NDArray[np.int64], Numbers]:
    """Returns places and numbers of one part of the range of numbers."""
    if not path.stat().st_size:
        return np.empty(0, np.int64), np.empty(0, np.uint64)
    if num_parts == 1:
        numbers = np.fromfile(path, np.uint64)
        return np.arange(len(numbers)), numbers
    places, found, start = [], [], 0
    with path.open("rb") as file:
        while len(numbers := np.fromfile(file, np.uint64, _READ_SIZE)):
            chosen = np.flatnonzero(mix(numbers) % np.uint64(num_parts) == part)
            places.append(chosen + start)
            found.append(numbers[chosen])
            start += len(numbers)
    return np.concatenate(places), np.concatenate(found)
