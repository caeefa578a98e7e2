"""The contrastive loss between images and captions, as in CLIP, for any number of images a caption.

Source: arXiv:2103.00020, figure 3; StableRep+ (arXiv:2306.00984, section 3.4) adds it with weight 1.
Legend: N images, M captions, D dimensions.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from stablerep.methods.multi_positive import at_least_float32
from stablerep.methods.streamed import streamed_logsumexp

MAX_LOGIT_SCALE = math.log(100)  # of the weight after a step, as in CLIP and in the authors' code
INITIAL_LOGIT_SCALE = math.log(1 / 0.07)


def image_text_loss(
    image_ND: Tensor,
    text_MD: Tensor,
    caption_N: Tensor,
    logit_scale: Tensor,
    tile: int | None = None,
) -> Tensor:
    """Half image-to-text plus half text-to-image.

    Image to text: cross-entropy over the M captions. Text to image: cross-entropy against the uniform law
    over the caption's images. With one image a caption this is CLIP's loss.

    Args:
        image_ND: (N, D), unit length.
        text_MD: (M, D), unit length, the captions distinct, each with at least one image.
        caption_N: (N,) int64, the row of each image's caption.
        logit_scale: scalar, the logarithm of the inverse temperature. The step holds it in [0, ln 100],
            not the loss: a clamp passes no gradient at its bound, where a scale would stay for good.
        tile: images and captions of which similarities are held at once; None holds them all.

    Returns:
        A scalar.
    """
    if tile is not None:
        return _tiled_loss(image_ND, text_MD, caption_N, logit_scale, tile)
    with torch.autocast(image_ND.device.type, enabled=False):
        scale = at_least_float32(logit_scale).exp()
        logits_NM = scale * at_least_float32(image_ND) @ at_least_float32(text_MD).T
        image_to_text = F.cross_entropy(logits_NM, caption_N)
        positive_MN = F.one_hot(caption_N, len(text_MD)).T.to(logits_NM.dtype)
        target_MN = positive_MN / positive_MN.sum(dim=1, keepdim=True)
        text_to_image = F.cross_entropy(logits_NM.T, target_MN)
        return 0.5 * (image_to_text + text_to_image)


def _tiled_loss(
    image_ND: Tensor, text_MD: Tensor, caption_N: Tensor, logit_scale: Tensor, tile: int
) -> Tensor:
    with torch.autocast(image_ND.device.type, enabled=False):
        scale = at_least_float32(logit_scale).exp()
        image_ND, text_MD = at_least_float32(image_ND), at_least_float32(text_MD)
        own_N = scale * (image_ND * text_MD[caption_N]).sum(dim=1)
        image_to_text = (streamed_logsumexp(image_ND, text_MD, scale, None, tile) - own_N).mean()
        # no bincount: it has the host wait for a GPU to learn the largest row
        count_M = caption_N.new_zeros(len(text_MD)).index_add(0, caption_N, torch.ones_like(caption_N))
        own_M = own_N.new_zeros(len(text_MD)).index_add(0, caption_N, own_N) / count_M
        text_to_image = (streamed_logsumexp(text_MD, image_ND, scale, None, tile) - own_M).mean()
        return 0.5 * (image_to_text + text_to_image)
