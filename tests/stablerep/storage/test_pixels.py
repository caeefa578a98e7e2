"""Images in memory keep their names in a subset, and their fingerprint tells them from others."""

import torch

from stablerep.storage.pixels import ImagesInMemory


def images() -> ImagesInMemory:
    return ImagesInMemory(torch.arange(4 * 3 * 2 * 2, dtype=torch.uint8).view(4, 3, 2, 2))


def test_a_subset_holds_the_chosen_images_under_their_old_names() -> None:
    chosen = images().subset(torch.tensor([3, 1])).subset(torch.tensor([1]))
    assert len(chosen) == 1
    assert chosen.name_of(0) == "image 1"
    assert torch.equal(chosen.read(0), images().read(1))


def test_the_fingerprint_depends_on_pixels_and_order() -> None:
    assert images().fingerprint() == images().fingerprint()
    assert images().fingerprint() != images().subset(torch.tensor([1, 0, 2, 3])).fingerprint()
