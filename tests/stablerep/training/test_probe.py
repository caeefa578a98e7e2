"""The probe on held-out captions."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from stablerep.image_sets.source import ImageSource
from stablerep.models.encoder import Encoder
from stablerep.storage.pixels import ImagesInMemory, UnreadableImageError
from stablerep.training.probe import features_of, hold_out, knn_accuracy, read_held_out


class FirstPixel(Encoder):
    """Its features are the angle that the first pixel's red tells; in training mode all are alike."""

    size_px = 4
    num_features = 2

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        angle = images[:, 0, 0, 0] * (0.0 if self.training else 1.0)
        return torch.stack([angle.cos(), angle.sin()], dim=1)


def source(reds: list[int], captions: list[int], labels: list[int] | None = None) -> ImageSource:
    images = torch.zeros(len(reds), 3, 4, 4, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.tensor(reds, dtype=torch.uint8)
    texts = tuple(f"caption {row}" for row in range(max(captions) + 1))
    return ImageSource(
        "synthetic",
        ImagesInMemory(images),
        torch.tensor(captions),
        texts,
        None if labels is None else torch.tensor(labels),
    )


def knn(encoder: Encoder, held_out: ImageSource, batch_size: int) -> float:
    return knn_accuracy(features_of(encoder, held_out, batch_size), held_out)


@pytest.mark.parametrize(
    ("reds", "labels", "expected"),
    [
        ([0, 1, 100, 101], None, 1.0),  # captions 0, 0, 1, 1
        ([0, 100, 1, 101], None, 0.0),
        ([0, 100, 1, 101], [5, 6, 5, 6], 1.0),  # classes go before captions
        ([0, 1, 2, 200], [5, 5, 6, -1], 1.0),  # the third is alone in its class, the fourth has none
    ],
)
def test_the_nearest_other_image_decides(reds: list[int], labels: list[int] | None, expected: float) -> None:
    encoder = FirstPixel().train()
    assert knn(encoder, source(reds, [0, 0, 1, 1], labels), batch_size=3) == expected
    assert encoder.training


def test_images_without_another_of_theirs_tell_nothing() -> None:
    assert math.isnan(knn(FirstPixel(), source([0, 100], [0, 1]), batch_size=2))


def test_unreadable_images_are_left_out_and_named():
    class Damaged(ImagesInMemory):
        def read(self, row):
            if row in damaged:
                raise UnreadableImageError(f"image {row}: is missing")
            return super().read(row)

    held_out = source([0, 10, 200, 210], [0, 0, 1, 1])
    held_out = replace(held_out, images=Damaged(held_out.images.images))
    damaged = {3}
    read, unreadable = read_held_out(held_out)
    assert unreadable == ["image 3: is missing"]
    assert read.caption_rows.tolist() == [0, 0, 1]
    assert knn(FirstPixel(), read, batch_size=2) == 1.0
    damaged = {0, 1, 2, 3}
    encoder = FirstPixel().train()
    read, unreadable = read_held_out(held_out)
    assert math.isnan(knn(encoder, read, batch_size=2))
    assert len(unreadable) == 4
    assert encoder.training


def test_captions_are_held_out_with_all_their_images() -> None:
    whole = source(list(range(20)), [row // 2 for row in range(20)], list(range(20)))
    trained, held_out = hold_out(whole, 3, 4, seed=0)
    assert held_out is not None
    assert held_out.labels is not None
    rows = torch.unique(held_out.caption_rows)
    assert len(rows) == 3
    assert not torch.isin(trained.caption_rows, rows).any()
    assert len(trained.images) + len(held_out.images) == 20
    assert torch.equal(
        torch.stack([held_out.images.read(row) for row in range(6)])[:, 0, 0, 0].long(), held_out.labels
    )
    other = hold_out(whole, 3, 4, seed=1)[1]
    assert other is not None
    assert not torch.equal(torch.unique(other.caption_rows), rows)


def test_a_training_keeps_the_captions_of_a_batch() -> None:
    whole = source(list(range(6)), [row // 2 for row in range(6)])
    trained, held_out = hold_out(whole, 3, 2, seed=0)
    assert len(torch.unique(trained.caption_rows)) == 2
    assert held_out is not None
    assert hold_out(whole, 3, 3, seed=0) == (whole, None)
