"""Samples for model cards are the generator's images, one row per caption."""

import torch

from stablerep.caption_ids import caption_id_of
from stablerep.generation.diffusion.generator import DiffusersGenerator, ImageRequest
from stablerep.generation.pretraining.samples import draw_samples, grid_of


def test_samples_are_the_images_of_each_caption_between_zero_and_one(tiny_generator, settings):
    generator = DiffusersGenerator(tiny_generator, settings())
    texts = ("a nine", "a blue eight")
    images = draw_samples(generator, texts, 3, seed=5)
    assert images.shape == (2, 3, 3, 16, 16) and images.dtype == torch.float32
    requests = [ImageRequest(caption_id_of(text), text, index) for text in texts for index in range(3)]
    drawn = torch.cat([batch.images for batch in generator.draw(requests, 5)])
    assert torch.equal((images * 255).round().byte().flatten(0, 1), drawn)
    assert not torch.equal(images[0], images[1])


def test_a_grid_has_a_row_per_caption_and_enlarges_each_pixel():
    images = torch.rand(2, 3, 3, 4, 5)  # two captions, three images of 5 by 4 px each
    grid = grid_of(images, 2)
    assert grid.shape == (3, 2 * 4 * 2, 3 * 5 * 2)
    assert torch.equal(grid[:, 8:16:2, 20:30:2], images[1, 2])
    assert torch.equal(grid[:, 0::2, 0::2], grid[:, 1::2, 1::2])
