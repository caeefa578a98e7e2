"""A project of a few images for tests: a corpus that has them and renders captions, and the real catalog."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner

from pipelines.config.loader import compose
from stablerep.corpora.corpus import Rendered
from stablerep.corpora.image_folder import ImageFolder
from tests.stablerep.corpora.images import CLASSES, write_class_folders
from tests.stablerep.image_sets.sets import caption_table

PROJECT = Path(__file__).parents[2]
CAPTIONS = [f"a {colour} {name}" for colour in ("red", "blue", "green", "grey") for name in CLASSES]


class Animals(ImageFolder):
    """Photos of cats and dogs in a folder; a caption is rendered as an image of one colour."""

    can_render = True

    def render(self, texts: Sequence[str], images_per_caption: int, name: str, seed: int) -> Rendered:
        values = [
            (sum(map(ord, text + name)) + 9 * number + seed) % 256
            for text in texts
            for number in range(images_per_caption)
        ]
        pixels = torch.tensor(values, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4)
        labels = [CLASSES.index(text.split()[-1]) for text in texts for _ in range(images_per_caption)]
        return Rendered(pixels.contiguous(), {"class": torch.tensor(labels)})


def write_photos(root: Path, num_per_class: int = 20) -> Path:
    """Writes photos, the captions of which name a colour and their class."""
    write_class_folders(root, num_per_class)
    files = sorted(path.relative_to(root) for path in root.rglob("*.png"))
    lines = [
        f"{file},a {('red', 'blue', 'green')[number % 3]} {file.parent},{file.parent}"
        for number, file in enumerate(files)
    ]
    (root / "metadata.csv").write_text("\n".join(["file_name,text,label", *lines]) + "\n")
    return root


def parameters_of(photos: Path, image_sets: dict[str, Any], **further: Any) -> dict[str, Any]:
    """Composes parameters with these image sets alone, of the corpus in a folder."""
    corpus = {"_target_": f"{__name__}.Animals", "path": str(photos)}
    first = next(iter(image_sets))
    given = {
        "experiment": "own_images",
        "corpus": corpus,
        **{f"arms.{name}": None for name in ("simclr_real", "clip_real")},
        "arms.mine": {"method": "simclr", "images": first},
        **{f"image_sets.{name}": settings for name, settings in {"real": None, **image_sets}.items()},
        **further,
    }
    return compose(PROJECT / "conf/params", given)


def catalog_of(folder: Path, captions: Sequence[str] = CAPTIONS) -> DataCatalog:
    """Returns the project's catalog with its paths below a folder; the captions have been curated."""
    entries = yaml.safe_load((PROJECT / "conf/base/catalog.yml").read_text(encoding="utf-8"))
    for entry in entries.values():
        for key in ("path", "filepath"):
            if key in entry:
                entry[key] = str(folder / entry[key])
    raw = folder / "data/01_raw"
    raw.mkdir(parents=True, exist_ok=True)
    (raw / "takedowns.csv").write_text("what,kind,reason,date,who\n")
    (raw / "evaluation_captions.csv").write_text("caption\na nine\n")
    catalog = DataCatalog.from_config(entries)
    table = caption_table(captions).assign(line=range(1, len(captions) + 1))
    catalog.save("caption_set", table.astype({"line": "int64"}))
    return catalog


def run(graph: Pipeline, catalog: DataCatalog, parameters: dict[str, Any]) -> None:
    """Runs nodes with the parameters that they take."""
    for name in graph.inputs():
        if name.startswith("params:"):
            value: Any = parameters
            for part in name.removeprefix("params:").split("."):
                value = value[part]
            catalog[name] = MemoryDataset(value)
    SequentialRunner().run(graph, catalog)


def take_down(folder: Path, what: str, kind: str = "caption") -> None:
    """Writes a takedown."""
    line = pd.DataFrame([{"what": what, "kind": kind, "reason": "x", "date": "2026-01-31", "who": "Ada"}])
    line.to_csv(folder / "data/01_raw/takedowns.csv", index=False)
