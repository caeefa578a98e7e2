"""The image-text loss against a naive loop and CLIP's own form."""

import math

import pytest
import torch
from torch.nn import functional as F

from stablerep.losses.image_text import image_text_loss


def unit(num, dims=6, seed=0):
    return F.normalize(torch.randn(num, dims, generator=torch.Generator().manual_seed(seed)), dim=1)


def naive_loss(images, texts, captions, scale):
    logits = [[scale * float(i @ t) for t in texts] for i in images]
    to_text = 0.0
    for row, caption in zip(logits, captions, strict=True):
        to_text += math.log(sum(math.exp(v) for v in row)) - row[caption]
    to_image = 0.0
    for m in range(len(texts)):
        column = [row[m] for row in logits]
        total = math.log(sum(math.exp(v) for v in column))
        mine = [v for v, caption in zip(column, captions, strict=True) if caption == m]
        to_image += sum(total - v for v in mine) / len(mine)
    return 0.5 * (to_text / len(images) + to_image / len(texts))


@pytest.mark.parametrize("captions", [[0, 1, 2, 3], [0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 1]])
def test_loss_equals_a_naive_loop(captions):
    images, texts = unit(len(captions)), unit(max(captions) + 1, seed=1)
    loss = image_text_loss(images, texts, torch.tensor(captions), torch.tensor(1.5))
    assert float(loss) == pytest.approx(naive_loss(images, texts, captions, math.exp(1.5)), rel=1e-5)


def test_with_one_image_a_caption_it_is_the_loss_of_clip():
    images, texts = unit(5), unit(5, seed=1)
    logits = math.exp(2.0) * images @ texts.T
    target = torch.arange(5)
    clip = 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))
    assert torch.allclose(image_text_loss(images, texts, target, torch.tensor(2.0)), clip)


def test_the_logit_scale_is_held_between_zero_and_ln_100():
    images, texts, rows = unit(4), unit(4, seed=1), torch.arange(4)
    at_most = image_text_loss(images, texts, rows, torch.tensor(math.log(100)))
    at_least = image_text_loss(images, texts, rows, torch.tensor(0.0))
    assert torch.equal(image_text_loss(images, texts, rows, torch.tensor(9.0)), at_most)
    assert torch.equal(image_text_loss(images, texts, rows, torch.tensor(-9.0)), at_least)
