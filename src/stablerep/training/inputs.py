"""The inputs of a step: views of the images, and which of them are positives of each other.

Legend: N views of a batch, M captions, T tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from stablerep.collectives import gather, own_rows
from stablerep.errors import DataError, TrainingError
from stablerep.image_sets.source import ImageSource
from stablerep.methods.method import Method
from stablerep.training.batches import Batch
from stablerep.training.speed import to_device
from stablerep.training.step import StepInputs
from stablerep.training.views import Augmentation


@dataclass(frozen=True)
class Arm:
    """A method, the images it trains on, and the seed.

    Attributes:
        name: unique in the experiment.
        method: the loss and how its batches are drawn.
        source: the images.
        seed: of weights, order and views.
        held_out: images for the kNN probe; None takes none.
    """

    name: str
    method: Method
    source: ImageSource
    seed: int
    held_out: ImageSource | None = None


def views_of(
    pixels: Tensor,
    views_per_image: int,
    augment: Augmentation,
    local_per_image: int = 0,
    augment_local: Augmentation | None = None,
) -> Callable[[slice], Tensor]:
    """Returns a function that draws the views of some rows of the batch: whole views, or local crops.

    Args:
        pixels: (I, 3, H, W) uint8.
        views_per_image: N / I; the batch has one view of every image, then the next view of every image.
        augment: draws one view.
        local_per_image: local crops, which follow the views in the same order.
        augment_local: draws one of them.
    """
    rows_N = torch.arange(len(pixels), device=pixels.device).repeat(views_per_image + local_per_image)
    first_local = views_per_image * len(pixels)

    def draw(rows: slice) -> Tensor:
        drawn_by = augment if augment_local is None or rows.start < first_local else augment_local
        return drawn_by(pixels[rows_N[rows]].float() / 255)

    return draw


def classes_of_views(arm: Arm, batch: Batch, device: torch.device) -> Tensor:
    """Returns (n,) int64, the classes of this process's views, -1 where one is not known."""
    assert arm.source.labels is not None  # noqa: S101 -- without classes there is no probe to ask for them
    return to_device(arm.source.labels[batch.image_rows].repeat(arm.method.views_per_image), device)


def _classes_of(arm: Arm, image_rows: Tensor) -> Tensor:
    """Returns the images' classes; one without a label is a class of its own, below zero."""
    labels = arm.source.labels
    if labels is None:
        raise DataError(
            f"arm {arm.name!r}: got images ({arm.source.name}) without classes; must have them, because "
            "its method learns from labels. Take it out of the arms, or train it on images with labels."
        )
    classes = labels[image_rows]
    return torch.where(classes < 0, -1 - image_rows, classes)


def inputs_of(
    arm: Arm,
    batch: Batch,
    tokenize: Callable[[list[str]], Tensor] | None,
    device: torch.device,
    local_per_image: int = 0,
) -> StepInputs:
    """Returns labels and captions of all processes, slices and token ids of this one.

    A label is the caption's row, or the image's row for several views of one image, or the image's class. A
    local crop has the label of its image.

    Raises:
        DataError: the method needs classes and the images have none.
        TrainingError: the method needs captions and there is no tokenizer.
    """
    method = arm.method
    same = batch.image_rows if method.views_per_image > 1 else batch.text_rows[batch.caption_N]
    if method.uses_labels:
        same = _classes_of(arm, batch.image_rows)
    own_N = batch.caption_N + own_rows(len(batch.text_rows)).start
    # images of a caption stand together, and views of the whole batch one after another
    image_N = torch.arange(len(batch.image_rows)) % method.images_per_caption
    num_views = method.views_per_image + local_per_image
    views = [image_N + method.images_per_caption * view for view in range(num_views)]
    token_ids = None
    if method.uses_text:
        if tokenize is None:
            raise TrainingError(f"arm {arm.name!r}: its method uses captions; a tokenizer is needed")
        token_ids = to_device(tokenize([arm.source.texts[row] for row in batch.text_rows.tolist()]), device)
    return StepInputs(
        labels_N=gather(to_device(same.repeat(method.views_per_image), device)),
        caption_N=gather(to_device(own_N.repeat(method.views_per_image), device)),
        slice_n=to_device(torch.cat(views), device),
        num_slices=method.images_per_caption * num_views,
        token_ids=token_ids,
        local_labels_k=to_device(same.repeat(local_per_image), device) if local_per_image else None,
    )
