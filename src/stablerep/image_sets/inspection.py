"""What the gate looks at of a set that was not generated: its table, no pixels.

A corpus has decoded every real image when it listed them, and a rendered image is as its renderer draws it.
What is left to check is which images are used: copies, and captions of the evaluation sets.
"""

from collections.abc import Iterable

import pandas as pd

from stablerep.image_sets.image_set import ImageSet
from stablerep.validation.captions import in_evaluation_set


def inspect_table(image_set: ImageSet, evaluation_texts: Iterable[str] = ()) -> pd.DataFrame:
    """Returns one row per image, with what the rules of `validation.real_images` ask for.

    Args:
        image_set: of source corpus or rendered.
        evaluation_texts: captions of evaluation sets.

    Returns:
        Columns image_id, caption_id, text, width_px, height_px, `duplicate_of` (the first image of the very
        same bytes, missing for the first), and `evaluation_text` (the caption where an evaluation set has
        it, else missing).
    """
    images = image_set.images[["image_id", "caption_id", "width_px", "height_px"]].reset_index(drop=True)
    digests = image_set.images["digest"].reset_index(drop=True)
    first = images["image_id"].groupby(digests).transform("first")
    texts = images["caption_id"].map(image_set.captions.set_index("caption_id")["text"])
    return images.assign(
        text=texts,
        duplicate_of=first.where(digests.duplicated()),
        evaluation_text=in_evaluation_set(texts, evaluation_texts),
    )
