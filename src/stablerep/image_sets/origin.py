"""Where the images of a set come from: recorded with each encoder, for its model card."""

from typing import Any

import pandas as pd

from stablerep.generation.diffusion.identity import model_id_of
from stablerep.generation.image_sets.generator_file import read_generators
from stablerep.image_sets.image_set import GENERATED, ImageSet

_MOST_SOURCES = 20  # that are named; the others are counted


def origin_of(image_set: ImageSet) -> dict[str, Any]:
    """Returns where the images of a set come from, as JSON.

    Returns:
        `name` and `source` of the set; `num_images` and `num_captions` that may be trained on; `parts`:
        name -> `source` and `num_images`; `captions`: `source`, `licence` and `num_captions` of each kind,
        the most frequent first; `models`: what drew the generated images, with `model`, `model_id` and
        `generator_id`.
    """
    images = image_set.images
    used = image_set.captions[image_set.captions["caption_id"].isin(images["caption_id"])]
    numbers = images["part"].value_counts()
    return {
        "name": image_set.name,
        "source": image_set.source,
        "num_images": len(images),
        "num_captions": len(used),
        "parts": {
            part: {"source": image_set.parts[part], "num_images": int(numbers[part])}
            for part in sorted(numbers.index)
        },
        "captions": _captions(used),
        "models": _models(image_set),
    }


def _captions(captions: pd.DataFrame) -> list[dict[str, Any]]:
    counted = captions.groupby(["source", "licence"]).size().reset_index(name="num_captions")
    ordered = counted.sort_values(["num_captions", "source", "licence"], ascending=[False, True, True])
    kinds: list[dict[str, Any]] = [
        {"source": str(source), "licence": str(licence), "num_captions": int(number)}
        for source, licence, number in ordered.itertuples(index=False)
    ]
    rest = kinds[_MOST_SOURCES:]
    if rest:
        licences = sorted({each["licence"] for each in rest})
        number = sum(each["num_captions"] for each in rest)
        others = {"source": f"{len(rest)} others", "licence": ", ".join(licences), "num_captions": number}
        return [*kinds[:_MOST_SOURCES], others]
    return kinds


def _models(image_set: ImageSet) -> list[dict[str, Any]]:
    if "generator_id" not in image_set.images:
        return []
    stores = [
        image_set.folder.parent / part for part, source in image_set.parts.items() if source == GENERATED
    ]
    known: dict[str, dict[str, Any]] = {}
    for store in stores:
        known |= read_generators(store)
    return [
        {
            "model": known[each]["model"] if each in known else "unknown",
            "model_id": model_id_of(known[each]) if each in known else "unknown",
            "generator_id": each,
        }
        for each in sorted(image_set.images["generator_id"].dropna().unique())
    ]
