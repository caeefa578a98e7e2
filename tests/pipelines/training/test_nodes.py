"""What arms learn from."""

from pathlib import Path

import pandas as pd
import pytest

from pipelines.training.nodes import image_sources
from stablerep.errors import DataError


@pytest.mark.parametrize("source", ["real", "drawn"])
def test_real_scenes_of_foreign_captions_are_refused(source: str) -> None:
    captions = pd.DataFrame({"caption_id": ["c-1", "c-2"], "text": ["a nine", "a dog on a beach"]})
    with pytest.raises(DataError, match="'a dog on a beach'"):
        image_sources({source}, pd.DataFrame(), Path(), captions, 2, 0.0, 0)


def test_real_scenes_of_the_corpus_are_drawn() -> None:
    captions = pd.DataFrame({"caption_id": ["c-1", "c-2"], "text": ["a nine", "a teal two"]})
    sources = image_sources({"real", "drawn"}, pd.DataFrame(), Path(), captions, 2, 0.0, 0)
    assert len(sources["real"].images) == 2
    assert len(sources["drawn"].images) == 4
