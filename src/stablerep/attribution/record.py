"""The whole record of one image: enough to say where it came from and to make it again."""

import json
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from stablerep.errors import DataError
from stablerep.generation.diffusion.identity import model_id_of
from stablerep.storage.shards import image_id_of


@dataclass(frozen=True)
class ImageRecord:
    """What is known of one image.

    Attributes:
        caption_id: of its caption.
        index: of the image among the caption's.
        text: what the generator was told.
        source: where the caption came from.
        licence: its terms.
        truncated: whether the caption was longer than the text encoder takes.
        set_seed: of the image set; with caption id and index it gives the noise.
        noise_seed: of the image's own noise.
        digest: of the image's bytes, see `stablerep.storage.shards.digest_of`.
        width_px: as stored.
        height_px: as stored.
        generator_id: of model and settings.
        generator: as `diffusion.identity.describe_generator` gives it; empty where not known.
        software: name -> version of what made it; empty where nobody wrote it down.
    """

    caption_id: str
    index: int
    text: str
    source: str
    licence: str
    truncated: bool
    set_seed: int
    noise_seed: int
    digest: str
    width_px: int
    height_px: int
    generator_id: str
    generator: dict[str, Any]
    software: dict[str, str]

    @property
    def image_id(self) -> str:
        """The name by which people ask for it: `<caption id>.<k>`."""
        return image_id_of(self.caption_id, self.index)

    @property
    def model_id(self) -> str:
        """The model's id, whatever the settings; `unknown` where the generator is."""
        return model_id_of(self.generator) if self.generator else "unknown"

    def to_json(self) -> str:
        """Returns it as JSON in ASCII, so that it can stand in XML whatever the caption holds."""
        return json.dumps(asdict(self), sort_keys=True)


def record_from_json(text: str, where: str) -> ImageRecord:
    """Reads what `to_json` wrote.

    Args:
        text: JSON.
        where: it stood, for the message.

    Raises:
        DataError: it is no record of an image.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise _no_record(where, f"not JSON: {error}") from error
    if not isinstance(values, Mapping):
        raise _no_record(where, f"got {type(values).__name__}")
    hints = typing.get_type_hints(ImageRecord)
    for field in fields(ImageRecord):
        kind = typing.get_origin(hints[field.name]) or hints[field.name]
        # `type`, for True is an int to Python
        if type(values.get(field.name)) is not kind:
            raise _no_record(where, f"{field.name}: got {values.get(field.name)!r}; must be {kind.__name__}")
    record = ImageRecord(**{field.name: values[field.name] for field in fields(ImageRecord)})
    if record.generator and not isinstance(record.generator.get("files"), Mapping):
        raise _no_record(where, "generator.files: missing; must name the model's files")
    return record


def _no_record(where: str, fault: str) -> DataError:
    return DataError(
        f"{where}: the record in it is none of an image ({fault}). Export the image again: "
        "stablerep export <image id> FOLDER."
    )
