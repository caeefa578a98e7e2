"""What every image-text model of this package is: images and texts in, cosines out.

Legend: N images with a text each, M distinct texts, D dimensions.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from stablerep.errors import DataError
from stablerep.models.soundness import PROBES

_SHAPING_SUFFIXES = (".safetensors", ".json", ".txt")
_CHUNK_BYTES = 1 << 22


@runtime_checkable
class Scorer(Protocol):
    """An image-text model that is ready to score.

    Attributes:
        scorer_id: of its weights and of all that shapes a score; another id, another score.
    """

    scorer_id: str

    def check(self) -> None:
        """Loads the model and has it embed something: called before images are drawn that it is to score.

        Raises:
            DataError: the model cannot be loaded, or gives embeddings that say nothing.
        """
        ...

    def score(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        """Returns the cosines between images and their texts: (N,) float32 in [-1, 1], on the CPU.

        Args:
            images: (N, 3, H, W) uint8.
            texts: N of them; equal ones are embedded once.
        """
        ...


def score_pairs(
    images: Tensor,
    texts: Sequence[str],
    embed_images: Callable[[Tensor], Tensor],
    embed_texts: Callable[[list[str]], Tensor],
    batch_size: int,
) -> Tensor:
    """Returns the cosines of pairs, in batches that are all of one size.

    Of one size, the last one filled up: kernels differ by batch size, and a score is to be the same
    whether it is computed with the whole set or alone after a caption was edited.

    Args:
        images: (N, 3, H, W) uint8.
        texts: N of them.
        embed_images: (batch, 3, H, W) uint8 to (batch, D) of unit length, float32.
        embed_texts: batch texts to (batch, D) of unit length, float32.
        batch_size: images, and texts, at once.

    Returns:
        (N,) float32.
    """
    if not len(images):
        return torch.empty(0)
    distinct = list(dict.fromkeys(texts))
    row_of = {text: row for row, text in enumerate(distinct)}
    text_MD = _in_batches(
        list(range(len(distinct))), batch_size, lambda r: embed_texts([distinct[i] for i in r])
    )
    image_ND = _in_batches(list(range(len(images))), batch_size, lambda rows: embed_images(images[rows]))
    rows_N = torch.tensor([row_of[text] for text in texts])
    return (image_ND * text_MD[rows_N]).sum(dim=1).clamp(-1, 1)


@torch.inference_mode()
def _in_batches(rows: list[int], size: int, embed: Callable[[list[int]], Tensor]) -> Tensor:
    parts = []
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        filled = part + part[-1:] * (size - len(part))
        parts.append(embed(filled)[: len(part)].float().cpu())
    return torch.cat(parts)


@torch.inference_mode()
def check_embeddings(
    folder: Path, embed_images: Callable[[Tensor], Tensor], embed_texts: Callable[[list[str]], Tensor]
) -> None:
    """Raises DataError unless a model embeds two texts differently, and texts and an image as finite numbers.

    Args:
        folder: of the model, for the message.
        embed_images: (1, 3, H, W) uint8 to (1, D).
        embed_texts: two texts to (2, D).
    """
    size_px = 64
    image = torch.randint(
        256, (1, 3, size_px, size_px), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    text_MD, image_ND = embed_texts(list(PROBES)), embed_images(image)
    if not (torch.isfinite(text_MD).all() and torch.isfinite(image_ND).all()):
        fault = "embeddings that are not finite"
    elif torch.equal(*text_MD):
        fault = f"{PROBES[0]!r} and {PROBES[1]!r} the same embedding"
    else:
        return
    raise DataError(
        f"{folder}: the image-text model gives {fault}; its weights or its tokenizer are damaged. Restore or "
        "download it again, or choose another scorer with alignment=<name>."
    )


def id_of_files(folder: Path, parts: Sequence[str] = ("",)) -> str:
    """Returns a scorer's id: a digest of its weights, settings and tokenizer.

    Args:
        folder: of the model; where it lies and what it is called plays no part.
        parts: files and folders in it that are read; the folder whole where there are none. A card or figures
            beside the weights make no other scorer.
    """
    digest = hashlib.blake2b(digest_size=8)
    for path in _shaping_files(folder, parts):
        inner = hashlib.blake2b(digest_size=16)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                inner.update(chunk)
        digest.update(f"{path.relative_to(folder).as_posix()} {inner.hexdigest()}\n".encode())
    return "a-" + digest.hexdigest()


def _shaping_files(folder: Path, parts: Sequence[str]) -> list[Path]:
    found = {each for part in parts for each in ((folder / part), *(folder / part).rglob("*"))}
    return sorted(path for path in found if path.is_file() and path.suffix in _SHAPING_SUFFIXES)
