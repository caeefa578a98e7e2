"""The text tower of a trained arm, frozen, as evaluations use it: numpy arrays in and out.

Legend: T texts, N images, F features, D dimensions of the space that images and texts share.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stablerep.models.text import TextTower, tokenize


class FrozenTextTower:
    """A trained text tower in evaluation mode; a `stablerep.evaluation.subject.TextTower`.

    Images are embedded as in training: CLIP and StableRep+ compare texts with the tower's own projection of
    the encoder's features, not with the projection head of the contrastive loss.

    Args:
        tower: with its trained weights. It moves to the GPU, where there is one, and stays there.
        tokenizer: a CLIPTokenizer.
        batch_size: texts or images at a time.
    """

    def __init__(self, tower: TextTower, tokenizer: Any, batch_size: int = 256) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._tower = tower.eval().to(self._device)
        self._tokenizer, self._batch_size = tokenizer, batch_size

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Maps T texts to (T, D) float32 embeddings of length 1."""

        def embed(part: Sequence[str]) -> Tensor:
            return self._tower.embed_text(tokenize(self._tokenizer, part).to(self._device))

        return self._in_batches(embed, texts)

    def embed_features(self, features: np.ndarray) -> np.ndarray:
        """Maps (N, F) float16 or float32 image features to (N, D) float32 embeddings of length 1."""

        def embed(part: np.ndarray) -> Tensor:
            # a copy: memory-mapped features are read-only, which torch warns of
            return self._tower.embed_images(torch.from_numpy(np.array(part, np.float32)).to(self._device))

        return self._in_batches(embed, features)

    @torch.inference_mode()
    def _in_batches(self, embed: Callable[[Any], Tensor], items: Any) -> np.ndarray:
        starts = range(0, len(items), self._batch_size)
        parts = [embed(items[start : start + self._batch_size]).cpu() for start in starts]
        return torch.cat(parts).numpy()
