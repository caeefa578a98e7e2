"""What arms learn from."""

import pandas as pd
import pytest

from pipelines.training.nodes import draw_images, draw_real_images
from stablerep.errors import DataError


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
