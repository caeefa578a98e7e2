"""The image-text loss against a naive loop and CLIP's own form."""

import functools
import math

import pytest
import torch
from torch.nn import functional as F

from stablerep.methods.image_text import image_text_loss

FORMS = {
    "dense": image_text_loss,
    "tiles of 2": functools.partial(image_text_loss, tile=2),
    "one tile": functools.partial(image_text_loss, tile=64),
}


@pytest.fixture(params=FORMS.values(), ids=FORMS)
def loss_of(request):
    return request.param


def unit(num, dims=6, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(num, dims, generator=generator, dtype=dtype), dim=1)


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
def test_loss_equals_a_naive_loop(loss_of, captions):
    images, texts = unit(len(captions)), unit(max(captions) + 1, seed=1)
    loss = loss_of(images, texts, torch.tensor(captions), torch.tensor(1.5))
    assert float(loss) == pytest.approx(naive_loss(images, texts, captions, math.exp(1.5)), rel=1e-5)


def test_with_one_image_a_caption_it_is_the_loss_of_clip(loss_of):
    images, texts = unit(5), unit(5, seed=1)
    logits = math.exp(2.0) * images @ texts.T
    target = torch.arange(5)
    clip = 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))
    assert torch.allclose(loss_of(images, texts, target, torch.tensor(2.0)), clip)


@pytest.mark.parametrize("tile", [1, 3, 64])
def test_tiles_give_the_dense_gradients_of_images_texts_and_scale(tile):
    captions = torch.tensor([0, 1, 0, 2, 2, 2, 1, 3])
    gradients = []
    for size in (None, tile):
        images, texts = (unit(n, seed=n, dtype=torch.float64).requires_grad_() for n in (8, 4))
        scale = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
        image_text_loss(images, texts, captions, scale, size).backward()
        gradients.append((images.grad, texts.grad, scale.grad))
    for dense, tiled in zip(*gradients, strict=True):
        assert torch.allclose(dense, tiled, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("tile", [None, 1, 3, 64])
def test_gradients_are_right_in_double_precision(tile):
    captions = torch.tensor([2, 0, 1, 0, 2, 2, 1])
    generator = torch.Generator().manual_seed(3)
    images, texts = (torch.randn(n, 3, dtype=torch.float64, generator=generator) for n in (7, 3))
    scale = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda i, t, s: image_text_loss(F.normalize(i, dim=1), F.normalize(t, dim=1), captions, s, tile),
        (images.requires_grad_(), texts.requires_grad_(), scale),
    )


def test_identical_embeddings_give_the_logarithms_of_the_numbers_of_captions_and_images(loss_of):
    images, texts = torch.ones(6, 4) / 2, torch.ones(3, 4) / 2
    loss = loss_of(images, texts, torch.tensor([0, 1, 1, 2, 2, 2]), torch.tensor(1.0))
    assert float(loss) == pytest.approx(0.5 * (math.log(3) + math.log(6)), rel=1e-5)


def test_the_order_of_images_and_of_captions_does_not_matter(loss_of):
    images, texts, captions = unit(7), unit(3, seed=1), torch.tensor([0, 1, 0, 2, 2, 2, 1])
    image_order, text_order = torch.tensor([3, 0, 6, 5, 2, 1, 4]), torch.tensor([2, 0, 1])
    place = torch.argsort(text_order)
    moved = loss_of(images[image_order], texts[text_order], place[captions[image_order]], torch.tensor(1.0))
    assert torch.allclose(moved, loss_of(images, texts, captions, torch.tensor(1.0)))


def test_loss_is_computed_in_float32_under_autocast(loss_of):
    images, texts, captions = unit(7), unit(3, seed=1), torch.tensor([0, 1, 0, 2, 2, 2, 1])
    plain = loss_of(images, texts, captions, torch.tensor(2.0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = loss_of(images, texts, captions, torch.tensor(2.0))
    assert mixed.dtype == torch.float32
    assert torch.equal(plain, mixed)
