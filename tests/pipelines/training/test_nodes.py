"""What arms learn from."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from pipelines.training.nodes import draw_images, draw_real_images, read_synthetic_images
from stablerep.errors import DataError
from stablerep.image_sets.source import ImageSource
from stablerep.storage.shards import SHARDS_FOLDER, digest_of, encode_image, write_shard


def captions(*texts: str) -> pd.DataFrame:
    return pd.DataFrame({"caption_id": [f"c-{number}" for number in range(len(texts))], "text": texts})


def test_real_scenes_of_foreign_captions_are_refused() -> None:
    foreign = captions("a nine", "a dog on a beach")
    with pytest.raises(DataError, match="'a dog on a beach'"):
        draw_real_images(foreign, 0)
    with pytest.raises(DataError, match="'a dog on a beach'"):
        draw_images(foreign, {"images_per_caption": 2}, 0)


def test_real_scenes_of_the_corpus_are_drawn() -> None:
    ours = captions("a nine", "a teal two")
    assert len(draw_real_images(ours, 0).images) == 2
    assert len(draw_images(ours, {"images_per_caption": 2}, 0).images) == 4


def test_real_scenes_bring_their_digits_and_generated_ones_those_of_their_captions(tmp_path: Path) -> None:
    real = draw_real_images(captions("a nine", "a number"), 0)
    assert real.labels is not None
    assert real.labels[0] == 9
    assert 0 <= real.labels[1] <= 9
    generated = read_images_of(tmp_path, "a nine", "a number")
    assert generated.labels is not None
    assert generated.labels.tolist() == [9, -1]


def test_captions_of_something_else_have_no_classes(tmp_path: Path) -> None:
    assert read_images_of(tmp_path, "two dogs", "a dog on a beach").labels is None


def read_images_of(store: Path, *texts: str) -> ImageSource:
    """One image of each caption, written to a shard and read back."""
    table = captions(*texts)
    data = encode_image(torch.zeros(3, 8, 8, dtype=torch.uint8))
    groups = [({"caption_id": caption}, {0: data}) for caption in table["caption_id"]]
    write_shard(store / SHARDS_FOLDER / "a.tar", groups)
    images = pd.DataFrame({"caption_id": table["caption_id"], "image_index": 0, "shard": "a.tar"})
    images["member"] = images["caption_id"] + ".0.png"
    return read_synthetic_images(
        images.assign(digest=digest_of(data), state="intact"), store, table, {"cache_mib": 1.0}
    )
