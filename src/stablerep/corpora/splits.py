"""Which images are trained on, chosen by, and tested on: the splits that a corpus gives, and those it lacks.

A split that is missing is made by a hash of each image's unit. An image therefore never changes its split
when others are added or removed, and the images of one unit stay together.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from stablerep.corpora.corpus import SPLITS, WHERE
from stablerep.errors import ConfigError, DataError

DEFAULT_SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_NUM_SHOWN = 5


def check_shares(shares: Mapping[str, float]) -> dict[str, float]:
    """Returns the shares of the splits, in their order.

    Raises:
        ConfigError: they are not one positive number for each split, or do not sum to 1.
    """
    if (
        set(shares) != set(SPLITS)
        or min(shares.values()) <= 0
        or abs(sum(shares.values()) - 1) > 1e-6  # rounding of decimal fractions
    ):
        raise ConfigError(
            f"corpus.split_shares is {dict(shares)}; it must hold a number > 0 for each of "
            f"{', '.join(SPLITS)}, and they must sum to 1. Set it in {WHERE}."
        )
    return {split: float(shares[split]) for split in SPLITS}


def split_of_name(name: str, own_names: Mapping[str, str] | None = None) -> str | None:
    """Returns the split that a usual name such as `val` stands for; None for any other name.

    Args:
        name: in any case.
        own_names: the user's names, which come first.
    """
    return (own_names or {}).get(name) or _NAMES.get(name.strip().casefold())


def check_own_names(own_names: Mapping[str, str] | None) -> None:
    """Raises ConfigError unless every name stands for one of `SPLITS`."""
    wrong = {name: split for name, split in (own_names or {}).items() if split not in SPLITS}
    if wrong:
        raise ConfigError(
            f"corpus.split_names is {wrong}; each value must be one of {', '.join(SPLITS)}. Set it in "
            f"{WHERE}."
        )


def normalised_splits(
    names: Sequence[object], where: str, own_names: Mapping[str, str] | None = None
) -> list[str | None]:
    """Returns the splits of a column of names; None where a cell is empty.

    Raises:
        DataError: a name stands for no split.
    """
    found = {name: split_of_name(str(name), own_names) for name in set(names) if not _is_empty(name)}
    unknown = sorted(str(name) for name, split in found.items() if split is None)
    if unknown:
        raise DataError(
            f"{where}: the splits {', '.join(map(repr, unknown[:_NUM_SHOWN]))} are unknown; they must be one "
            f"of {', '.join(_NAMES)}. Rename them, or say what they stand for in corpus.split_names."
        )
    return [found.get(name) for name in names]


def _is_empty(name: object) -> bool:
    # nan != nan
    return name is None or name != name or name == ""


def uniform_of(unit: str) -> float:
    """Returns a number in [0, 1) that depends on the text alone: the first 53 bits of its SHA-256."""
    return (int.from_bytes(hashlib.sha256(unit.encode()).digest()[:8], "big") >> 11) / 2.0**53


def assign_splits(
    units: Sequence[str], given: Sequence[str | None], shares: Mapping[str, float]
) -> tuple[list[str], npt.NDArray[np.bool_]]:
    """Gives every image a split.

    Given splits stay. Those of `SPLITS` that no image has are taken, by a hash of the unit, from the images
    of train and from those without a split, in proportion to `shares`.

    Args:
        units: the statistical unit of each image.
        given: its split, or None.
        shares: of `check_shares`.

    Returns:
        The split of each image, and whether it is the one that was given.

    Raises:
        DataError: splits are given, but no image can be trained on.
    """
    known = {split for split in given if split is not None}
    if known and "train" not in known and None not in given:
        raise DataError(
            f"corpus: only the splits {', '.join(sorted(known))} have images; train must have some. Add "
            "them, or say in corpus.split_names which split to train on."
        )
    # train comes last, so that a change of its share moves few images
    missing = [split for split in reversed(SPLITS) if split not in known and split != "train"]
    total = sum(shares[split] for split in (*missing, "train"))
    bounds = np.cumsum([shares[split] / total for split in missing])
    chosen = [*missing, "train"]
    splits = []
    for unit, split in zip(units, given, strict=True):
        if split is None or (split == "train" and missing):
            splits.append(chosen[int(np.searchsorted(bounds, uniform_of(unit), side="right"))])
        else:
            splits.append(split)
    return splits, np.array([split == old for split, old in zip(splits, given, strict=True)], np.bool_)
