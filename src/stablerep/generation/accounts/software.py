"""Which software made which image of a set: `software.json` beside the shards.

Not in the shards: equal pixels are to be equal bytes, whatever release drew them. Written before the first
shard, so that a killed run does not leave images that a later release claims.
"""

import hashlib
import json
import logging
import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from stablerep.generation.image_sets.cache import SOFTWARE
from stablerep.generation.image_sets.plan import ImageSetPlan
from stablerep.storage.outages import refuse_outage
from stablerep.storage.shards import image_id_of

logger = logging.getLogger(__name__)

SOFTWARE_FILE = "software.json"
UNKNOWN = "unknown"
_PACKAGES = ("stablerep", "torch", "diffusers", "transformers", "tokenizers", "numpy", "pillow")


@dataclass(frozen=True)
class SoftwareOfImages:
    """Who made what.

    Attributes:
        versions: an id for each set of versions -> name -> version.
        rest: the id for all images that `images` does not name; `unknown` if it was not recorded.
        images: image id -> the id of what made it, where that is not `rest`.
        earlier: likewise, of images that another generator or seed made and that a run is about to replace;
            keys are of `_drawn_key`. Empty where the last run came to its end.
    """

    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    rest: str = UNKNOWN
    images: dict[str, str] = field(default_factory=dict)
    earlier: dict[str, str] = field(default_factory=dict)

    def id_of(self, image_id: str, generator_id: str, seed: int) -> str:
        """Returns the id of what made an image, given the generator and the seed in its record."""
        known = self.earlier.get(_drawn_key(image_id, generator_id, seed))
        return known or self.images.get(image_id, self.rest)

    def versions_of(self, image_id: str, generator_id: str, seed: int) -> dict[str, str]:
        """Returns the versions that made an image; none where they are not known."""
        return self.versions.get(self.id_of(image_id, generator_id, seed), {})

    def to_json(self) -> dict[str, Any]:
        """Returns what the file holds."""
        facts = {"versions": self.versions, "rest": self.rest, "images": self.images}
        return facts | ({"earlier": self.earlier} if self.earlier else {})


def describe_software() -> dict[str, str]:
    """Returns the versions that an image depends on, and the device: kernels differ between the two."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    found["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return found


def is_cpu(software: Mapping[str, str]) -> bool:
    """Returns whether what `describe_software` found draws on a CPU: its device is then an architecture."""
    return software.get("device") == platform.machine()


def read_software(store: Path) -> SoftwareOfImages:
    """Reads what made the images of a set; unknown where the file is missing or malformed."""
    path = store / SOFTWARE_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return SoftwareOfImages(
            {key: _texts(versions) for key, versions in values["versions"].items()},
            str(values["rest"]),
            _texts(values["images"]),
            _texts(values.get("earlier", {})),
        )
    except FileNotFoundError:
        return SoftwareOfImages()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        refuse_outage(path, error)
        logger.warning("%s: cannot be read (%s); what made the images is unknown", path, error)
        return SoftwareOfImages()


def _texts(values: Any) -> dict[str, str]:
    found = dict(values)
    if not all(isinstance(value, str) for value in found.values()):
        raise TypeError("a value is not text")
    return found


def software_of_plan(
    plan: ImageSetPlan, before: SoftwareOfImages, current: dict[str, str], carried_out: bool
) -> SoftwareOfImages:
    """Returns what will have made the images when a plan is carried out.

    Args:
        plan: kept images keep their versions, made ones get the current ones.
        before: as `read_software` returns it.
        current: as `describe_software` returns it.
        carried_out: whether the images that leave the set are gone; until then they are listed as well,
            because a run may fail.
    """
    known = {**before.versions, _id_of(current): current}
    lent = {lender: read_software(lender.store) for lender in plan.lenders}
    made: dict[str, str] = {}
    for caption in plan.captions:
        made |= {image_id_of(caption.caption_id, index): _id_of(current) for index in caption.missing}
        for index, path in caption.kept.items():
            image_id = image_id_of(caption.caption_id, index)
            made[image_id] = before.id_of(image_id, plan.wanted.generator_id, plan.wanted.seed)
            for lender in (each for each in plan.lenders if each.has(path)):
                versions = lent[lender].versions_of(image_id, plan.wanted.generator_id, plan.wanted.seed)
                made[image_id] = _id_of(versions) if versions else UNKNOWN
                known |= {made[image_id]: versions} if versions else {}
            if path in plan.from_cache:
                versions = plan.from_cache[path].get(SOFTWARE, {}).get(str(index))
                made[image_id] = _id_of(versions) if versions else UNKNOWN
                known |= {made[image_id]: versions} if versions else {}
    earlier = {} if carried_out else _of_what_leaves(plan, before)
    counts = Counter(made.values())
    rest = max(counts, key=lambda each: (counts[each], each), default=UNKNOWN)
    return SoftwareOfImages(
        versions={each: known[each] for each in sorted({*counts, *earlier.values()}) if each in known},
        rest=rest,
        images={image_id: each for image_id, each in sorted(made.items()) if each != rest},
        earlier=earlier,
    )


def _of_what_leaves(plan: ImageSetPlan, before: SoftwareOfImages) -> dict[str, str]:
    found = {}
    for each in plan.leaving:
        record = each.sample.record
        drawn = record["generator_id"], record["seed"]
        for index in each.indices:
            image_id = image_id_of(record["caption_id"], index)
            found[_drawn_key(image_id, *drawn)] = before.id_of(image_id, *drawn)
    return found


def _drawn_key(image_id: str, generator_id: str, seed: int) -> str:
    return f"{image_id} {generator_id} {seed}"


def _id_of(versions: Mapping[str, str]) -> str:
    text = json.dumps(versions, sort_keys=True)
    return "s-" + hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
