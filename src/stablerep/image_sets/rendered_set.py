"""The image set of source `rendered`: the corpus draws what each caption says, like a perfect generator."""

from pathlib import Path
from typing import Any

import pandas as pd

from stablerep.corpora.corpus import Corpus
from stablerep.image_sets.image_set import CAPTION_COLUMNS, LABEL_PREFIX, RENDERED, ImageSet
from stablerep.image_sets.selection import cut
from stablerep.storage.shards import digest_of, image_id_of


def from_renderer(
    name: str,
    caption_set: pd.DataFrame,
    corpus: Corpus,
    folder: Path,
    amounts: dict[str, int | None],
    seed: int,
) -> ImageSet:
    """Makes the set of images that a corpus renders of captions.

    Args:
        name: of the set; part of the seed.
        caption_set: with `CAPTION_COLUMNS`.
        corpus: one that can render.
        folder: of the set.
        amounts: `num_captions`, `images_per_caption` and `num_images`; one image of each caption where
            `images_per_caption` is None.
        seed: of the images.
    """
    per_caption = amounts.get("images_per_caption") or 1
    captions = caption_set.head(amounts.get("num_captions") or len(caption_set)).reset_index(drop=True)
    rendered = corpus.render(list(captions["text"]), per_caption, name, seed)
    rows: dict[str, Any] = {
        "caption_id": captions["caption_id"].repeat(per_caption).reset_index(drop=True),
        "image_index": list(range(per_caption)) * len(captions),
    }
    images = pd.DataFrame(rows)
    ids = zip(images["caption_id"], images["image_index"], strict=True)
    images["image_id"] = [image_id_of(*each) for each in ids]
    images["part"] = name
    images["row"] = range(len(images))
    images["digest"] = [digest_of(image.contiguous().numpy().tobytes()) for image in rendered.pixels]
    images["height_px"], images["width_px"] = rendered.pixels.shape[2:]
    for task, labels in rendered.labels.items():
        images[LABEL_PREFIX + task] = labels.numpy()
    images = cut(images, name, num_images=amounts.get("num_images"))
    facts = {"num_images": len(images), "images_per_caption": per_caption, "seed": seed}
    return ImageSet(
        name, RENDERED, images, captions[list(CAPTION_COLUMNS)], {name: RENDERED}, folder, None, facts
    )
