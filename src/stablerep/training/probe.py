"""A cheap look at what an encoder has learned so far: nearest neighbours among images that it never saw.

Some captions are held out of the training, with all their images. Each of these images asks whether the one
nearest to it is of its own class, or of its own caption where the images have no classes. Test images are not
touched. The figure says whether a training goes well, and nothing that should be reported.
Legend: I images, F features.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from stablerep.image_sets.source import ImageSource
from stablerep.models.encoder import Encoder
from stablerep.seeding import numpy_generator
from stablerep.storage.pixels import ImagesInMemory, UnreadableImageError


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


def read_held_out(source: ImageSource) -> tuple[ImageSource, list[str]]:
    """Reads all held-out images.

    Returns:
        Those that can be read, in memory; and of each other one, its name and why.

    Raises:
        OutageError: the file system failed, for longer than was waited.
    """
    images, rows, unreadable = [], [], []
    for row in range(len(source.images)):
        try:
            images.append(source.images.read(row))
            rows.append(row)
        except UnreadableImageError as error:
            unreadable.append(str(error))
    pixels = torch.stack(images) if images else torch.empty((0, 3, 0, 0), dtype=torch.uint8)
    chosen = torch.tensor(rows, dtype=torch.int64)
    labels = None if source.labels is None else source.labels[chosen]
    read = replace(
        source,
        images=ImagesInMemory(pixels, chosen),
        caption_rows=source.caption_rows[chosen],
        labels=labels,
    )
    return read, unreadable


@torch.no_grad()
def features_of(encoder: Encoder, source: ImageSource, batch_size: int) -> Tensor:
    """Returns (I, F) float32 features of the held-out images.

    The encoder is in evaluation mode meanwhile; no random number is drawn, so a training goes on as if it had
    not been looked at.

    Args:
        encoder: on any device.
        source: from `read_held_out`.
        batch_size: images at a time.
    """
    device = next(encoder.parameters()).device
    if not len(source.images):
        return torch.empty(0, encoder.num_features, device=device)
    was_training = encoder.training
    encoder.eval()
    images_I3HW = torch.stack([source.images.read(row) for row in range(len(source.images))])
    features_IF = torch.cat([_encode(encoder, part.to(device)) for part in images_I3HW.split(batch_size)])
    encoder.train(was_training)
    return features_IF


def knn_accuracy(features_IF: Tensor, source: ImageSource) -> float:
    """Returns the share of images whose nearest other image is of their class, or caption.

    Args:
        features_IF: of the images.
        source: the images; those without a label, and without another of theirs, do not ask.

    Returns:
        The accuracy in [0, 1], NaN where no image can ask.
    """
    if not len(features_IF):
        return math.nan
    unit_IF = F.normalize(features_IF, dim=1)
    similarity_II = (unit_IF @ unit_IF.T).fill_diagonal_(-torch.inf)
    labels_I = (source.caption_rows if source.labels is None else source.labels).to(features_IF.device)
    same_I = labels_I[similarity_II.argmax(dim=1)] == labels_I
    others_I = (labels_I[:, None] == labels_I[None, :]).sum(dim=1) > 1
    asks_I = others_I & (labels_I >= 0)
    return float(same_I[asks_I].float().mean())


def _encode(encoder: Encoder, images: Tensor) -> Tensor:
    size = (encoder.size_px, encoder.size_px)
    views = images.float() / 255
    if views.shape[-2:] != size:
        views = F.interpolate(views, size, mode="bilinear", antialias=True)
    return encoder(views).flatten(1).float()
