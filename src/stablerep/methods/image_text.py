"""The contrastive loss between images and captions, as in CLIP, for any number of images a caption.

Source: arXiv:2103.00020, figure 3; StableRep+ (arXiv:2306.00984, section 3.4) adds it with weight 1.
Legend: N images, M captions, D dimensions.
"""

import math

import torch
from torch import Tensor

from stablerep.methods.multi_positive import EVERY_ROW, at_least_float32
from stablerep.methods.streamed import streamed_logsumexp

MAX_LOGIT_SCALE = math.log(100)  # of the weight after a step, as in CLIP and in the authors' code
INITIAL_LOGIT_SCALE = math.log(1 / 0.07)


def image_text_loss(
    image_ND: Tensor,
    text_MD: Tensor,
    caption_N: Tensor,
    logit_scale: Tensor,
    tile: int | None = None,
    images: slice = EVERY_ROW,
    texts: slice = EVERY_ROW,
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
        images: rows of `image_ND` whose part of the first half is wanted, A of them.
        texts: rows of `text_MD` whose part of the second half is wanted, B of them.

    Returns:
        A scalar; the parts of several processes add up to the loss.
    """
    with torch.autocast(image_ND.device.type, enabled=False):
        scale = at_least_float32(logit_scale).exp()
        image_ND, text_MD = at_least_float32(image_ND), at_least_float32(text_MD)
        image_AD, text_BD = image_ND[images], text_MD[texts]
        if tile is not None:
            image_log_sum_A = streamed_logsumexp(image_AD, text_MD, scale, None, tile)
            text_log_sum_B = streamed_logsumexp(text_BD, image_ND, scale, None, tile)
        else:
            image_log_sum_A = (scale * image_AD @ text_MD.T).logsumexp(dim=1)
            text_log_sum_B = (scale * text_BD @ image_ND.T).logsumexp(dim=1)
        # of an image its caption; of a caption the mean of its images
        own_A = scale * (image_AD * text_MD[caption_N[images]]).sum(dim=1)
        # no bincount: it has the host wait for a GPU to learn the largest row
        count_M = caption_N.new_zeros(len(text_MD)).index_add(0, caption_N, torch.ones_like(caption_N))
        sum_MD = torch.zeros_like(text_MD).index_add(0, caption_N, image_ND)
        own_B = scale * (text_BD * sum_MD[texts]).sum(dim=1) / count_M[texts]
        image_to_text = (image_log_sum_A - own_A).sum() / len(image_ND)
        text_to_image = (text_log_sum_B - own_B).sum() / len(text_MD)
        return 0.5 * (image_to_text + text_to_image)
