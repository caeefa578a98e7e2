"""The image set of source `mixture`: shares of other sets, such as half real and half synthetic."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from stablerep.image_sets.image_set import LABEL_PREFIX, MIXTURE, ImageSet
from stablerep.image_sets.selection import cut, in_random_order


def mix(
    name: str,
    parts: Mapping[str, ImageSet],
    shares: Mapping[str, float],
    folder: Path,
    amounts: dict[str, int | None],
    seed: int,
    shares_of: str = "images",
) -> ImageSet:
    """Makes a set of shares of others.

    Which captions of a part are taken follows from their hash, and all images of a caption come together. A
    caption that is in two parts has the images of both, and they are positives of each other.

    Args:
        name: of the mixture.
        parts: the sets by name.
        shares: part -> share of the images; relative to their sum.
        folder: of the mixture.
        amounts: `num_images` in all; as many as the scarcest part allows where it is None. `most` in all, or
            as many as the scarcest part allows where these are fewer. `num_captions` and
            `images_per_caption` are applied to each part first.
        seed: of the choice.
        shares_of: `images`, or `captions`: then `shares` and `most` count captions, a caption comes with all
            images that its part has of it, and no caption is taken from two parts.
    """
    total = sum(shares.values())
    ordered = {
        part: cut(
            in_random_order(each.images, "mixture", seed, part),
            part,
            amounts.get("num_captions"),
            amounts.get("images_per_caption"),
        )
        for part, each in parts.items()
    }
    relative = {part: share / total for part, share in shares.items()}
    take = _take_captions if shares_of == "captions" else _take_images
    chosen = take(ordered, relative, amounts)
    numbers = {part: len(each) for part, each in chosen.items()}
    images = _joined([chosen[part].assign(image_id=_named(part, chosen[part])) for part in parts])
    captions = pd.concat([each.captions for each in parts.values()])
    captions = captions[captions["caption_id"].isin(images["caption_id"])]
    sources = {part: source for each in parts.values() for part, source in each.parts.items()}
    return ImageSet(
        name,
        MIXTURE,
        images,
        captions.drop_duplicates("caption_id", ignore_index=True),
        sources,
        folder,
        None,
        {
            "num_images": len(images),
            "num_images_of": numbers,
            "of": {
                name: facts
                for part, each in parts.items()
                for name, facts in {**each.facts.get("of", {}), part: each.facts}.items()
            },
        },
    )


def _take_images(
    ordered: Mapping[str, pd.DataFrame], shares: Mapping[str, float], amounts: Mapping[str, int | None]
) -> dict[str, pd.DataFrame]:
    """Takes the first images of each part; `shares` add up to 1."""
    limit = min(int(len(ordered[part]) / share) for part, share in shares.items())
    wanted = amounts.get("num_images") or min(limit, amounts.get("most") or limit)
    return {
        part: cut(ordered[part], part, num_images=number) for part, number in _split(wanted, shares).items()
    }


def _take_captions(
    ordered: Mapping[str, pd.DataFrame], shares: Mapping[str, float], amounts: Mapping[str, int | None]
) -> dict[str, pd.DataFrame]:
    """Takes all images of the first captions of each part, first those that no other part has."""
    captions = {part: list(dict.fromkeys(images["caption_id"])) for part, images in ordered.items()}
    in_parts = Counter(each for of_part in captions.values() for each in of_part)
    limit = min(int(len(captions[part]) / share) for part, share in shares.items())
    limit = min(limit, len(in_parts))
    taken: set[str] = set()
    chosen = {}
    for part, number in _split(min(limit, amounts.get("most") or limit), shares).items():
        free = [each for each in captions[part] if each not in taken]
        own = set(sorted(free, key=lambda each: in_parts[each])[:number])
        taken |= own
        chosen[part] = ordered[part][ordered[part]["caption_id"].isin(own)].reset_index(drop=True)
    return chosen


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Joins tables of different columns; whole numbers stay whole where another part has none."""
    whole = [table.astype(dict.fromkeys(table.select_dtypes("int64"), "Int64")) for table in tables]
    images = pd.concat(whole, ignore_index=True)
    for name in map(str, images):
        if name.startswith(LABEL_PREFIX):
            images[name] = images[name].fillna(-1).astype("int64")
    return images.sort_values("caption_id", kind="stable", ignore_index=True)


def _named(part: str, images: pd.DataFrame) -> "pd.Series[str]":
    """Returns image ids that differ between parts."""
    return part + "/" + images["image_id"]


def _split(num_images: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Splits a number by shares; what rounding leaves over goes to the largest remainders."""
    exact = {part: num_images * share for part, share in shares.items()}
    numbers = {part: int(value) for part, value in exact.items()}
    left = num_images - sum(numbers.values())
    for part in sorted(exact, key=lambda each: numbers[each] - exact[each])[:left]:
        numbers[part] += 1
    return numbers
