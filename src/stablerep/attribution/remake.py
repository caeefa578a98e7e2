"""Makes an image again from its record alone, and compares the two."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from stablerep.attribution.record import ImageRecord
from stablerep.errors import GeneratorError
from stablerep.generation.diffusion.generator import DiffusersGenerator, ImageRequest
from stablerep.generation.diffusion.identity import describe_generator
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.storage.shards import decode_image, digest_of, encode_image


@dataclass(frozen=True)
class Comparison:
    """An image beside the one that was made again.

    Attributes:
        same_bytes: the new PNG has the digest of the record.
        max_difference: largest difference of a value, in levels of 0 to 255; None where there is nothing
            to compare with, or its size is another.
        num_different: values that differ, None likewise.
        num_values: of the image.
        remade: (3, H, W) uint8.
    """

    same_bytes: bool
    max_difference: int | None
    num_different: int | None
    num_values: int
    remade: Tensor

    @property
    def same_pixels(self) -> bool:
        """Whether every value is the same."""
        return self.max_difference == 0

    def summary(self) -> str:
        """Says it in one line."""
        if self.same_bytes:
            return "bit-equal"
        if self.max_difference is None:
            return "other bytes than recorded; there is no image to compare pixels with"
        if self.same_pixels:
            return "equal pixels in other bytes: written by another release of Pillow or zlib"
        return (
            f"differs in {self.num_different} of {self.num_values} values, by {self.max_difference} of 255 "
            "levels at most; one level is rounding, for images drawn in batches of another size or on "
            "another device"
        )


def remake(record: ImageRecord, model_folder: Path) -> Tensor:
    """Draws an image again: text, seed, sampler and settings from the record, weights from the folder.

    Args:
        record: of the image.
        model_folder: must hold the very model that the record names.

    Returns:
        (3, H, W) uint8.

    Raises:
        GeneratorError: the record does not say what made the image, or the folder holds another model.
    """
    settings = settings_of(record)
    found = describe_generator(Path(model_folder), settings)
    if found["generator_id"] != record.generator_id:
        known = record.generator["files"]
        differ = sorted(set(known.items()) ^ set(found["files"].items()))
        names = sorted({name for name, _ in differ}) or ["the settings"]
        raise GeneratorError(
            f"image {record.image_id}: {model_folder} is another model than the one that made it: "
            f"{', '.join(names)} differ; must be {record.generator['model']} with id {record.model_id}. "
            "Name its folder with --model."
        )
    generator = DiffusersGenerator(Path(model_folder), settings)
    request = ImageRequest(record.caption_id, record.text, record.index)
    return next(iter(generator.draw([request], record.set_seed))).images[0]


def compare(record: ImageRecord, data: bytes | None, remade: Tensor) -> Comparison:
    """Compares an image made again with the record and with the bytes that are there.

    Args:
        record: of the image.
        data: its PNG, None where it is missing.
        remade: (3, H, W) uint8.

    Raises:
        DataError: the PNG cannot be decoded.
    """
    same_bytes = digest_of(encode_image(remade)) == record.digest
    largest = number = None
    stored = remade if same_bytes else None
    if stored is None and data is not None:
        stored = decode_image(data)
    if stored is not None and stored.shape == remade.shape:
        difference = (stored.to(torch.int16) - remade.to(torch.int16)).abs()
        largest, number = int(difference.max()), int((difference > 0).sum())
    return Comparison(same_bytes, largest, number, remade.numel(), remade)


def settings_of(record: ImageRecord) -> GeneratorSettings:
    """Returns the settings that drew an image, for one image at a time.

    Raises:
        GeneratorError: the record does not hold them.
    """
    facts = record.generator
    if not facts:
        raise GeneratorError(
            f"image {record.image_id}: its record does not say what generator {record.generator_id} was: the "
            "image set was left half made. Run `kedro run --pipelines image_sets` to finish it."
        )
    try:
        return GeneratorSettings.from_facts(facts, images_per_caption=record.index + 1)
    except (KeyError, TypeError) as error:
        raise GeneratorError(
            f"image {record.image_id}: its record lacks a setting of the generator ({error}); must hold what "
            "`describe_generator` writes. Take the record from the image set: stablerep show <image id>."
        ) from error
