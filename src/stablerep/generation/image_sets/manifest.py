"""The manifest of an image set: one row per image, stored or rejected; and the JSON files beside it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from stablerep.generation.image_sets.records import make_image_entry
from stablerep.storage.shards import INTACT, REJECTED_UNSAFE, Record
from stablerep.storage.whole_files import written_whole

ADVICE = "The shards are kept; free some space or fix the permissions and run again."
MANIFEST_FILE = "manifest.parquet"
MANIFEST_COLUMNS = (
    "caption_id",
    "image_index",
    "seed",
    "generator_id",
    "shard",
    "digest",
    "member",
    "width_px",
    "height_px",
    "state",
)


def make_manifest(records: dict[str, list[Record]]) -> pd.DataFrame:
    """Returns one row per image, by caption id and index, from shard name -> records."""
    rows = [
        {
            "caption_id": record["caption_id"],
            "image_index": image["index"],
            "seed": image["seed"],
            "generator_id": record["generator_id"],
            "shard": shard,
            "digest": image["digest"],
            "member": image["member"],
            "width_px": image["width_px"],
            "height_px": image["height_px"],
            # the same whether it was made now or kept, or each run would return another table
            "state": state,
        }
        for shard, members in records.items()
        for record in members
        for state, image in _images_of(record)
    ]
    frame = pd.DataFrame(rows, columns=list(MANIFEST_COLUMNS))
    return frame.sort_values(["caption_id", "image_index"], ignore_index=True)


def _images_of(record: Record) -> Iterator[tuple[str, dict[str, Any]]]:
    for image in record["images"]:
        yield INTACT, image
    for index in record.get(REJECTED_UNSAFE, []):
        yield REJECTED_UNSAFE, make_image_entry(record["caption_id"], record["seed"], index, "", (0, 0))


def write_facts(path: Path, facts: Mapping[str, Any]) -> None:
    """Writes a JSON file beside a manifest, whole or not at all.

    Args:
        path: of the file.
        facts: to write.

    Raises:
        DataError: the disk refuses.
    """
    with written_whole(path, ADVICE) as beside:
        text = json.dumps(facts, indent=1, sort_keys=True, default=str)
        beside.write_text(text + "\n", encoding="utf-8")


def write_manifest(path: Path, manifest: pd.DataFrame) -> None:
    """Writes a set's manifest, whole or not at all."""
    with written_whole(path, ADVICE) as beside:
        manifest.to_parquet(beside, index=False)
