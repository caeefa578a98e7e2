"""The handwriting instances behind the digit scenes, split so that no hand is in two parts.

Source: scikit-learn's `load_digits`, the test part of the UCI Optical Recognition of Handwritten
Digits set (1,797 images of 8x8 pixels, 43 writers, E. Alpaydin and C. Kaynak, CC BY 4.0). The set as
shipped does not name the writers, so one image is one handwriting instance, a "hand".
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

NUM_HELD_OUT = 450  # 25 % of 1,797
NUM_VALIDATION = 200  # taken out of the 75 % for training; every choice is made on them
SPLITS = ("fit", "validation", "held_out")
_SPLIT_SEED = 20231210  # frozen: another number is another benchmark


@dataclass(frozen=True)
class Hands:
    """Handwriting instances of one split.

    Attributes:
        hand_ids: (H,) int64, the row in scikit-learn's data set.
        strokes: (H, 8, 8) float32 in [0, 1], 1 is ink.
        digits: (H,) int64 in 0..9.
    """

    hand_ids: Tensor
    strokes: Tensor
    digits: Tensor

    def __len__(self) -> int:
        """Returns H."""
        return len(self.hand_ids)


def split_hands(digits: np.ndarray, seed: int = _SPLIT_SEED) -> dict[str, np.ndarray]:
    """Splits instance rows by digit class (stratified) into fit, validation and held_out.

    Args:
        digits: (N,) the class of each instance.
        seed: decides the split.

    Returns:
        Sorted row numbers per split; together every row, each once.
    """
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(digits))
    train, held_out = train_test_split(rows, test_size=NUM_HELD_OUT, stratify=digits, random_state=seed)
    fit, validation = train_test_split(
        train, test_size=NUM_VALIDATION, stratify=digits[train], random_state=seed
    )
    return {"fit": np.sort(fit), "validation": np.sort(validation), "held_out": np.sort(held_out)}


@lru_cache(maxsize=1)
def _all_hands() -> dict[str, Hands]:
    from sklearn.datasets import load_digits

    data = load_digits()
    strokes = torch.from_numpy(data.images.astype(np.float32) / 16.0)
    digits = torch.from_numpy(data.target.astype(np.int64))
    parts = {}
    for name, rows in split_hands(data.target).items():
        index = torch.from_numpy(rows.astype(np.int64))
        parts[name] = Hands(index, strokes[index], digits[index])
    return parts


def load_hands(split: str) -> Hands:
    """Returns the hands of a split.

    Raises:
        ValueError: the split is not one of `SPLITS`.
    """
    if split not in SPLITS:
        raise ValueError(f"split: got {split!r}; must be one of {', '.join(SPLITS)}")
    return _all_hands()[split]
