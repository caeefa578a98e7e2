"""The autoencoder of pixel space changes no level of an image, in diffusers' pipeline and in ours."""

import pytest
import torch

from stablerep.generation.pretraining.pixel_space import build_pass_through

LEVELS = torch.arange(256).view(1, 1, 16, 16).expand(1, 3, 16, 16) / 127.5 - 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@torch.no_grad()
def test_every_level_passes_through(dtype):
    model = build_pass_through(2.0).to(dtype)
    latents = model.encode(LEVELS.to(dtype)).latents
    decoded = model.decode(latents).sample.float()
    assert decoded.shape == LEVELS.shape
    assert ((decoded - LEVELS) * 127.5).abs().max() < 0.1, "a tenth of a level"


@torch.no_grad()
def test_the_scaling_factor_brings_what_it_encodes_to_the_denoisers_scale():
    model = build_pass_through(2.5)
    latents = model.encode(LEVELS).latents * model.config.scaling_factor
    assert torch.allclose(latents, LEVELS * 2.5, atol=1e-5)
