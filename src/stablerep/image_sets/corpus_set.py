"""The image set of source `corpus`: the real images that the corpus has, read in place."""

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

from stablerep.caption_ids import caption_id_of
from stablerep.curation.people.takedowns import CAPTION, SOURCE, UnseenSources, taken_down
from stablerep.image_sets.image_set import CAPTION_COLUMNS, CORPUS, ImageSet
from stablerep.image_sets.selection import cut, in_random_order

_UNKNOWN = "unknown"


def from_corpus(
    name: str,
    table: pd.DataFrame,
    folder: Path,
    takedowns: pd.DataFrame,
    amounts: dict[str, int | None],
    seed: int,
    corpus_name: str,
) -> ImageSet:
    """Makes the set of a corpus's training images.

    An image with several captions is trained with one of them, chosen by a hash of its key; an image without
    a caption is a caption of its own, with an empty text. Which images a smaller set has follows from their
    captions and the seed alone.

    Args:
        name: of the set.
        table: the corpus's images, as `Corpus.index` gives them; those of the split `train` are taken.
        folder: of the set.
        takedowns: images of captions and sources that were taken down are left out.
        amounts: `num_captions`, `images_per_caption` and `num_images`, as `selection.cut` takes them.
        seed: of the choice.
        corpus_name: the source of its captions.
    """
    train = table[table["split"] == "train"].reset_index(drop=True)
    texts = [_one_of(captions, key) for captions, key in zip(train["captions"], train["key"], strict=True)]
    ids = [caption_id_of(text or f"image {key}") for text, key in zip(texts, train["key"], strict=True)]
    images = train.drop(columns=["captions", "split"]).assign(
        image_id=train["key"], caption_id=ids, part=name, text=texts
    )
    gone = images["caption_id"].isin(taken_down(takedowns, CAPTION))
    if corpus_name in taken_down(takedowns, SOURCE):
        gone |= True
    unseen = UnseenSources(takedowns)
    unseen.see([corpus_name])
    unseen.warn()
    num_gone = int(gone.sum())
    images = cut(in_random_order(images[~gone], "corpus", seed), name, **amounts)
    captions = images[["caption_id", "text"]].drop_duplicates("caption_id", ignore_index=True)
    captions = captions.assign(source=corpus_name, licence=_UNKNOWN)[list(CAPTION_COLUMNS)]
    facts: dict[str, Any] = {"num_images": len(images), "num_taken_down": num_gone, "corpus": corpus_name}
    return ImageSet(name, CORPUS, images.drop(columns="text"), captions, {name: CORPUS}, folder, None, facts)


def _one_of(captions: list[str], key: str) -> str:
    texts = [text for text in captions if text.strip()]
    if not texts:
        return ""
    digest = hashlib.sha256(key.encode()).digest()
    return texts[int.from_bytes(digest[:8], "big") % len(texts)]
