"""A corpus and image sets for tests: images of one colour, whose value says which image it is."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from stablerep.caption_ids import caption_id_of
from stablerep.corpora.corpus import Corpus, Rendered, Task
from stablerep.image_sets.image_set import ImageSet
from stablerep.image_sets.rendered_set import from_renderer
from stablerep.storage.pixels import ImagesInMemory

TEXTS = ["a red dog", "a blue cat", "a green dog"]
# of a generated set, as `stablerep.image_sets.origin.origin_of` returns it
ORIGIN = {
    "name": "synthetic",
    "source": "generated",
    "num_images": 8,
    "num_captions": 2,
    "parts": {"synthetic": {"source": "generated", "num_images": 8}},
    "captions": [{"source": "mine", "licence": "CC0-1.0", "num_captions": 2}],
    "models": [{"model": "tiny", "model_id": "m-01", "generator_id": "g-01"}],
}


class Colours(Corpus):
    """Real images of one colour each; renders captions as such images."""

    name = "colours"
    can_render = True

    def tasks(self) -> dict[str, Task]:
        return {"animal": Task("animal", ("dog", "cat"))}

    def pixels(self, table: pd.DataFrame) -> ImagesInMemory:
        values = torch.tensor(table["row"].tolist(), dtype=torch.uint8)
        return ImagesInMemory(values[:, None, None, None].expand(-1, 3, 6, 4).contiguous())

    def render(self, texts: Sequence[str], images_per_caption: int, name: str, seed: int) -> Rendered:
        values = [
            (sum(map(ord, text)) + 7 * number + seed + len(name)) % 256
            for text in texts
            for number in range(images_per_caption)
        ]
        pixels = torch.tensor(values, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4)
        labels = [0 if "dog" in text else 1 for text in texts for _ in range(images_per_caption)]
        return Rendered(pixels.contiguous(), {"animal": torch.tensor(labels)})


def caption_table(texts: Sequence[str] = TEXTS) -> pd.DataFrame:
    ids = [caption_id_of(text) for text in texts]
    return pd.DataFrame({"caption_id": ids, "text": texts, "source": "test", "licence": "CC0-1.0"})


def corpus_table(num: int = 6, captions: bool = True) -> pd.DataFrame:
    """Six images of three captions; the last one is in the test split."""
    texts = [TEXTS[row % 3] for row in range(num)]
    return pd.DataFrame(
        {
            "key": [f"image-{row}.png" for row in range(num)],
            "row": range(num),
            "digest": [f"{row:032x}" for row in range(num)],
            "captions": [[text] if captions else [] for text in texts],
            "split": ["train"] * (num - 1) + ["test"],
            "label.animal": [0 if "dog" in text else 1 for text in texts],
        }
    )


def no_takedowns() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype="str") for name in ("what", "kind", "reason", "date", "who")})


def amounts(**given: int) -> dict[str, int | None]:
    return {"num_captions": None, "images_per_caption": None, "num_images": None, **given}


def rendered(folder: Path, name: str = "rendered", per_caption: int = 2) -> ImageSet:
    return from_renderer(
        name, caption_table(), Colours(), folder / name, amounts(images_per_caption=per_caption), 0
    )
