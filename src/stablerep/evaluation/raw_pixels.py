"""The reference without an encoder: the pixels of a small image, or their principal components.

The probe of 3,072 pixels took half of the time of all probes; with 64 components it takes a hundredth of that
(docs/experiments.md).
Legend: B images of a batch, N images, S side of the small image in pixels, C components.
"""

import numpy as np
import torch
from torch import Tensor

from stablerep.evaluation.features import fit_size, read_ahead
from stablerep.models.encoder import Encoder
from stablerep.seeding import numpy_generator
from stablerep.storage.pixels import Pixels

_MAX_FITTED = 10_000  # images from which components are computed; 123 MB of pixels
_BATCH_SIZE = 256


class RawPixels(Encoder):
    """The pixels of a small image, flattened.

    Args:
        size_px: S.
    """

    def __init__(self, size_px: int = 32) -> None:
        super().__init__()
        self.size_px = size_px
        self.num_features = 3 * size_px**2

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, 3, S, S) to (B, 3 S^2)."""
        return images.flatten(1)


class PixelComponents(RawPixels):
    """The pixels of a small image, projected on some principal components.

    Args:
        mean: (3 S^2,) float32, of the images from which the components were computed.
        components: (C, 3 S^2) float32.
        size_px: S.
    """

    mean: Tensor
    components: Tensor

    def __init__(self, mean: Tensor, components: Tensor, size_px: int = 32) -> None:
        super().__init__(size_px)
        self.num_features = len(components)
        self.register_buffer("mean", mean)
        self.register_buffer("components", components)

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, 3, S, S) to (B, C)."""
        return (super().forward(images) - self.mean) @ self.components.T


def fit_pixel_components(
    pixels: Pixels, train_rows: np.ndarray, num_components: int, seed: int
) -> PixelComponents:
    """Computes principal components of train images.

    Args:
        pixels: of the set.
        train_rows: (N,) of its train images; of more than 10,000 a random part is read.
        num_components: C; fewer if there are fewer images.
        seed: of that part, and of the randomised decomposition.
    """
    from sklearn.decomposition import PCA

    rng = numpy_generator("pixel components", seed)
    if len(train_rows) > _MAX_FITTED:
        train_rows = np.sort(rng.choice(train_rows, _MAX_FITTED, replace=False))
    size_px, device = RawPixels().size_px, torch.device("cpu")
    batches = [fit_size(images, size_px, device) for images in read_ahead(pixels, train_rows, _BATCH_SIZE)]
    values = torch.cat(batches).flatten(1).numpy()
    num = min(num_components, *values.shape)
    fitted = PCA(num, svd_solver="randomized", random_state=int(rng.integers(2**32))).fit(values)
    mean, components = (np.asarray(each, np.float32) for each in (fitted.mean_, fitted.components_))
    return PixelComponents(torch.from_numpy(mean), torch.from_numpy(components))
