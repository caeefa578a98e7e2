"""The autoencoder of a generator that works on pixels: it passes them through.

Stable Diffusion's pipeline needs an autoencoder, so a generator in pixel space has one that changes nothing.
It is diffusers' AutoencoderTiny (the class of TAESD) without blocks, whose two convolutions scale pixels down
before the decoder's saturation, tanh(z / 3) * 3, and up again behind it. So any diffusers loads it.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn

# z = _SCALE * x: small, so that the saturation bends nothing (x by 1.5e-4 at its ends, a fiftieth of a level
# of 255), and a power of two, so that float16 holds the weights exactly
_SCALE = 1 / 16


def build_pass_through(scaling: float) -> Any:
    """Builds the autoencoder.

    Args:
        scaling: pixels in [-1, 1] times this are what the UNet works on. Stored, for the smaller numbers that
            the autoencoder gives, as its `scaling_factor`.
    """
    from diffusers import AutoencoderTiny

    model = AutoencoderTiny(
        encoder_block_out_channels=(3,),
        decoder_block_out_channels=(3,),
        num_encoder_blocks=(0,),
        num_decoder_blocks=(0,),
        latent_channels=3,
        scaling_factor=scaling / _SCALE,
    )
    # both ends of the class work on pixels p in [0, 1], where x is 2 p - 1
    first, last = (each for each in model.encoder.layers if isinstance(each, nn.Conv2d))
    _scale(first, 1.0, 0.0)
    _scale(last, 2 * _SCALE, -_SCALE)
    first, last = (each for each in model.decoder.layers if isinstance(each, nn.Conv2d))
    _scale(first, 1 / (2 * _SCALE), 0.5)
    _scale(last, 1.0, 0.0)
    return model.eval()


def _scale(convolution: nn.Conv2d, factor: float, shift: float) -> None:
    """Makes a convolution multiply each channel by a factor and add a shift."""
    nn.init.dirac_(convolution.weight)
    with torch.no_grad():
        convolution.weight.mul_(factor)
        nn.init.constant_(cast(Tensor, convolution.bias), shift)
