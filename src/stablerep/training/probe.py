"""A cheap look at what an encoder has learned so far: nearest neighbours among images that it never saw.

Some captions are held out of the training, with all their images. Each of these images asks whether the one
nearest to it is of its own class, or of its own caption where the images have no classes. Test images are not
touched. The figure says whether a training goes well, and nothing that should be reported.
Legend: I images, F features.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from stablerep.image_sets.source import ImageSource
from stablerep.models.encoder import Encoder
from stablerep.seeding import numpy_generator
from stablerep.storage.pixels import UnreadableImageError


def hold_out(
    source: ImageSource, num_captions: int, num_kept: int, seed: int
) -> tuple[ImageSource, ImageSource | None]:
    """Splits captions off, with their images.

    Args:
        source: of a training.
        num_captions: to be held out; fewer where the training would be left with less than it needs.
        num_kept: captions that the training needs, those of a batch.
        seed: of the choice.

    Returns:
        What is trained on, and what is held out: None where nothing can be.
    """
    captions = torch.unique(source.caption_rows)
    number = min(num_captions, len(captions) - num_kept)
    if number <= 0:
        return source, None
    order = torch.from_numpy(numpy_generator("held out", seed).permutation(len(captions)))
    held_out = torch.isin(source.caption_rows, captions[order[:number]])
    return _rows_of(source, ~held_out), _rows_of(source, held_out)


def _rows_of(source: ImageSource, chosen: Tensor) -> ImageSource:
    rows = torch.nonzero(chosen).flatten()
    labels = None if source.labels is None else source.labels[rows]
    return replace(
        source, images=source.images.subset(rows), caption_rows=source.caption_rows[rows], labels=labels
    )


@dataclass(frozen=True)
class LookedAt:
    """What an encoder makes of the held-out images.

    Attributes:
        features_IF: float32, of the images that can be read.
        labels_I: int64 class of each, -1 where it is not known; its caption where the images have no classes.
        unreadable: of each other image, its name and why.
    """

    features_IF: Tensor
    labels_I: Tensor
    unreadable: list[str]


@torch.no_grad()
def look_at(encoder: Encoder, source: ImageSource, batch_size: int) -> LookedAt:
    """Encodes the held-out images.

    The encoder is in evaluation mode meanwhile; no random number is drawn, so a training goes on as if it had
    not been looked at.

    Args:
        encoder: on any device.
        source: the held-out images.
        batch_size: images at a time.
    """
    device = next(encoder.parameters()).device
    was_training = encoder.training
    encoder.eval()
    images_I3HW, rows_I, unreadable = _read_all(source)
    parts = [_encode(encoder, part.to(device)) for part in images_I3HW.split(batch_size) if len(part)]
    encoder.train(was_training)
    labels_I = (source.caption_rows if source.labels is None else source.labels)[rows_I].to(device)
    features_IF = torch.cat(parts) if parts else torch.empty(0, encoder.num_features, device=device)
    return LookedAt(features_IF, labels_I, unreadable)


def knn_accuracy(seen: LookedAt) -> float:
    """Returns the share of images whose nearest other image is of their class, or caption.

    Args:
        seen: images without a label, and without another of theirs, do not ask.

    Returns:
        The accuracy in [0, 1], NaN where no image can ask.
    """
    if not len(seen.features_IF):
        return math.nan
    unit_IF, labels_I = F.normalize(seen.features_IF, dim=1), seen.labels_I
    similarity_II = (unit_IF @ unit_IF.T).fill_diagonal_(-torch.inf)
    same_I = labels_I[similarity_II.argmax(dim=1)] == labels_I
    others_I = (labels_I[:, None] == labels_I[None, :]).sum(dim=1) > 1
    asks_I = others_I & (labels_I >= 0)
    return float(same_I[asks_I].float().mean())


def _read_all(source: ImageSource) -> tuple[Tensor, Tensor, list[str]]:
    """Returns the images that can be read, their rows, and of the others their names and why."""
    images, rows, unreadable = [], [], []
    for row in range(len(source.images)):
        try:
            images.append(source.images.read(row))
            rows.append(row)
        except UnreadableImageError as error:
            unreadable.append(str(error))
    return torch.stack(images) if images else torch.empty(0), torch.tensor(rows, dtype=torch.long), unreadable


def _encode(encoder: Encoder, images: Tensor) -> Tensor:
    size = (encoder.size_px, encoder.size_px)
    views = images.float() / 255
    if views.shape[-2:] != size:
        views = F.interpolate(views, size, mode="bilinear", antialias=True)
    return encoder(views).flatten(1).float()
