"""Perceptual hashes of images and their nearest neighbours: which images are copies of others, or nearly.

The hash is pHash (Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash Functions), as the
library imagehash computes it: the luminance's discrete cosine transform, low frequencies against their
median, but 16 x 16 of them instead of 8 x 8. Of 4,096 images of the embedded generator the two nearest are
52 of 256 bits apart, while noise of 4 grey levels, JPEG at quality 75 or a brightness 5 % up change 18 at
most in 99 of 100 (docs/experiments.md).
Legend: N images, W words of 64 bits, B bands.
"""

import numpy as np
import torch
from scipy.fft import dctn
from torch import Tensor
from torch.nn import functional as F

HASH_BITS = 256
MAX_DISTANCE_BITS = 15
_SIDE = 32  # pixels of the image whose frequencies are taken
_FREQUENCIES = 16  # in each direction
_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601
# Two hashes that differ in 15 bits at most agree in one of 16 bands at least.
_NUM_BANDS = 16
_NUM_COMPARED = 64  # of a band's equals with each other, so that the work stays linear in images


def perceptual_hash(image: Tensor) -> bytes:
    """Returns the hash of a (3, H, W) uint8 image, 32 bytes."""
    weights = torch.tensor(_LUMINANCE).reshape(3, 1, 1)
    grey = (image.float() * weights).sum(dim=0)[None, None]
    if grey.shape[-2:] != (_SIDE, _SIDE):
        grey = F.interpolate(grey, (_SIDE, _SIDE), mode="bilinear", antialias=True)
    low = dctn(grey[0, 0].numpy())[:_FREQUENCIES, :_FREQUENCIES].reshape(-1)
    return np.packbits(low > np.median(low)).tobytes()


def nearest_hashes(hashes: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Finds each hash's nearest other one, up to `MAX_DISTANCE_BITS`.

    Of hashes that agree in a band only the 64 next to each other are compared: among more than so many that
    look alike a nearer one may be passed over, but none of them is taken for a single one.

    Args:
        hashes: N, of 32 bytes.

    Returns:
        (N,) float64 distances in bits, NaN where none is so near, and (N,) int64 positions of the other, -1
        there.
    """
    bits_NW = np.frombuffer(b"".join(hashes), dtype=np.uint64).reshape(-1, 4)
    bands_NB = np.frombuffer(b"".join(hashes), dtype=np.uint16).reshape(-1, 16)
    distance = np.full(len(hashes), MAX_DISTANCE_BITS + 1, dtype=np.int64)
    other = np.full(len(hashes), -1, dtype=np.int64)
    for band in range(_NUM_BANDS):
        order = np.lexsort((bits_NW[:, 0], bands_NB[:, band]))
        value = bands_NB[order, band]
        for step in range(1, min(_NUM_COMPARED, len(hashes) - 1) + 1):
            same = np.flatnonzero(value[step:] == value[:-step])
            if not len(same):
                break
            pair = order[same], order[same + step]
            bits = np.bitwise_count(bits_NW[pair[0]] ^ bits_NW[pair[1]]).sum(axis=1, dtype=np.int64)
            for one, two in (pair, pair[::-1]):
                # each image stands once on either side of a step
                nearer = bits < distance[one]
                distance[one[nearer]] = bits[nearer]
                other[one[nearer]] = two[nearer]
    return np.where(other < 0, np.nan, distance), other
