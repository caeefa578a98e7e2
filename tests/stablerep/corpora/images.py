"""Tiny images of noise, as files in several layouts."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("cat", "dog")


def pixels(seed: int, height: int = 5, width: int = 7) -> "np.ndarray":
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def png(seed: int, height: int = 5, width: int = 7) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels(seed, height, width)).save(buffer, format="PNG")
    return buffer.getvalue()


def write_png(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(seed))
    return path


def write_class_folders(root: Path, num_per_class: int = 30) -> Path:
    """Writes images of two classes; big enough that every split gets some of each."""
    for label, name in enumerate(CLASSES):
        for number in range(num_per_class):
            write_png(root / name / f"{number:03}.png", 1000 * label + number)
    return root


def write_split_folders(
    root: Path, splits: tuple[str, ...] = ("train", "val", "test"), first_seed: int = 0
) -> Path:
    for place, split in enumerate(splits):
        for label, name in enumerate(CLASSES):
            for number in range(2):
                seed = first_seed + 100 * place + 10 * label + number
                write_png(root / split / name / f"{number}.png", seed)
    return root
