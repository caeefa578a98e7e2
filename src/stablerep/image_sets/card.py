"""The data set card of an image set: what it is, how it was made, what its gate said, and its sources.

In the form of huggingface.co (https://huggingface.co/docs/hub/datasets-cards). As on an encoder's model card
the head names no licence: no one has chosen one for the images; the table of sources says what to look at.
"""

from collections.abc import Mapping
from typing import Any

from stablerep.image_sets.image_set import GENERATED, MIXTURE, ImageSet
from stablerep.image_sets.origin import origin_of
from stablerep.models.card import card_head, data_section, markdown_table

# upper ends of https://huggingface.co/docs/hub/datasets-cards, `size_categories`
_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
)
_LARGER = "n>10M"
_FILES = (
    ("images.parquet", "one row per image that may be trained on: id, caption, part, digest, labels"),
    ("captions.parquet", "one row per caption: id, text, source, licence"),
    ("manifest.parquet", "of a generated set: every image that was drawn, with its state and alignment"),
    ("image_set.json", "name, source, parts and facts"),
    ("SHA256SUMS", "the digests of these files"),
)


def data_set_card(image_set: ImageSet) -> str:
    """Returns the card in Markdown."""
    origin = origin_of(image_set)
    parts = [
        card_head(_head(image_set)),
        f"# {image_set.name}, an image set\n\n" + _summary(image_set),
        "## Files\n\n" + markdown_table(("file", "what"), _files(image_set)),
        "## How it was made\n\n" + markdown_table(("", ""), _making(image_set)),
    ]
    if checks := _checks(image_set.facts):
        parts.append("## Checks\n\n" + checks)
    parts += ["## Sources and licences\n\n" + data_section(origin), "## Limits\n\n" + _limits(image_set)]
    return "\n\n".join(parts) + "\n"


def size_category(num_images: int) -> str:
    """Returns the hub's name for a number of images."""
    return next((name for end, name in _SIZES if num_images < end), _LARGER)


def _head(image_set: ImageSet) -> dict[str, Any]:
    is_drawn = GENERATED in image_set.parts.values()
    with_captions = ["text-to-image"] if image_set.has_captions else []
    return {
        "pretty_name": image_set.name,
        "size_categories": [size_category(len(image_set.images))],
        "task_categories": ["image-feature-extraction", *with_captions],
        "tags": ["stablerep", *(["synthetic"] if is_drawn else [])],
    }


def _summary(image_set: ImageSet) -> str:
    drawn = sorted(part for part, source in image_set.parts.items() if source == GENERATED)
    said = [
        f"{len(image_set.images):,} images for training vision encoders with the pipelines of StableRep "
        "(arXiv:2306.00984)."
    ]
    if drawn and image_set.source == MIXTURE:
        said.append(f"Its parts {', '.join(drawn)} were drawn by a model; the others were not.")
    elif drawn:
        said.append("A model drew them: none is a photograph.")
    return " ".join(said)


def _files(image_set: ImageSet) -> list[tuple[str, str]]:
    return [row for row in _FILES if row[0] != "manifest.parquet" or image_set.manifest is not None]


def _making(image_set: ImageSet) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = [("source", image_set.source)]
    for name, value in image_set.facts.items():
        if not isinstance(value, Mapping | list) and value is not None:
            rows.append((name.replace("_", " "), value))
    generation = image_set.facts.get("generation") or {}
    for name in ("generator_id", "num_truncated", "num_rejected_unsafe"):
        if generation.get(name) is not None:
            rows.append((name.replace("_", " "), generation[name]))
    return rows


def _checks(facts: Mapping[str, Any]) -> str:
    said = []
    if gate := facts.get("gate"):
        held = [rule for rule in gate["rules"] if rule["success"]]
        broken = [rule["name"] for rule in gate["rules"] if not rule["success"]]
        result = "passed" if gate["success"] else "failed"
        said.append(f"The gate on images {result}: {len(held)} of {len(gate['rules'])} rules hold.")
        if broken:
            said.append(f"Broken: {', '.join(broken)}.")
    alignment = facts.get("alignment") or {}
    if alignment.get("mean") is not None:
        bound = alignment["threshold"]
        rejected = "no image was rejected"
        if bound is not None:
            rejected = f"{alignment['num_rejected_misaligned']:,} images below {bound:.3f} were rejected"
        scorer, mean = alignment["scorer_id"], alignment["mean"]
        said.append(f"Mean alignment of image and caption {mean:.3f} by scorer {scorer}; {rejected}.")
    return " ".join(said)


def _limits(image_set: ImageSet) -> str:
    if GENERATED in image_set.parts.values():
        return (
            "Images that a model drew show what it learned, with its errors and biases, and may show other "
            "things than their captions say. The report has figures on alignment, coverage and the audit."
        )
    return "The figures of the report are of this set alone; other images may differ."
