"""What is kept of a run for comparisons: its tables, its configuration, and a few images.

    metrics.parquet        the table of metrics
    unit_scores.parquet    the scores of each unit, for paired intervals
    images.parquet         `set`, `caption_id`, `text`, `picture` (data address of a PNG)
    record.json            everything else

A caption's id is a hash of its text. The captions with the lowest ids are kept, so two runs keep images of
the same captions as far as both have them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stablerep.errors import DataError
from stablerep.storage.tables import read_table

FORMAT = 1
NUM_CAPTIONS = 12
IMAGES_PER_CAPTION = 4
_RECORD, _METRICS, _UNITS, _IMAGES = "record.json", "metrics.parquet", "unit_scores.parquet", "images.parquet"
_IMAGE_COLUMNS = ("set", "caption_id", "text", "picture")
_METRIC_COLUMNS = (
    *("arm", "seed", "method", "images", "set", "task", "evaluation", "metric", "value", "low", "high"),
    "num_units",
)
_UNIT_COLUMNS = ("arm", "seed", "set", "task", "evaluation", "metric", "unit", "score")


@dataclass(frozen=True)
class RunRecord:
    """A run that can be compared.

    Attributes:
        experiment_name: of its configuration.
        seeds: of the run.
        headline: its report's headline.
        cautions: sentences that limit the headline.
        configuration: everything that its figures depend on.
        image_sets: name -> facts, such as `num_images`.
        seconds: node -> seconds.
        metrics: see `stablerep.reporting.content.ReportContent`.
        unit_scores: likewise.
        images: one row per picture, with `set`, `caption_id`, `text`, `picture`.
    """

    experiment_name: str
    seeds: Sequence[int]
    headline: str
    cautions: Sequence[str]
    configuration: Mapping[str, Any]
    image_sets: Mapping[str, Mapping[str, Any]]
    seconds: Mapping[str, float]
    metrics: pd.DataFrame = field(repr=False)
    unit_scores: pd.DataFrame = field(repr=False)
    images: pd.DataFrame = field(repr=False)


class _Description(BaseModel):
    """The form of record.json."""

    model_config = ConfigDict(extra="forbid")

    format: int = Field(ge=1, le=FORMAT)
    experiment_name: str
    seeds: list[int]
    headline: str
    cautions: list[str]
    configuration: dict[str, Any]
    image_sets: dict[str, dict[str, Any]]
    seconds: dict[str, float]


def kept_captions(caption_ids: Iterable[str]) -> list[str]:
    """Returns the ids of the captions whose images are kept."""
    return sorted(set(caption_ids))[:NUM_CAPTIONS]


def write_record(folder: Path, record: RunRecord) -> None:
    """Writes a record's files to a folder; makes the folder if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {_METRICS: record.metrics, _UNITS: record.unit_scores, _IMAGES: record.images}
    for name, table in tables.items():
        table.to_parquet(folder / name, index=False)
    described = {name: getattr(record, name) for name in _Description.model_fields if name != "format"}
    text = json.dumps({"format": FORMAT, **described}, indent=1, default=_plain)
    (folder / _RECORD).write_text(text, encoding="utf-8")


def _plain(value: Any) -> Any:
    """Converts a value that JSON cannot represent to one that it can."""
    return dict(value) if isinstance(value, Mapping) else str(value)


def is_record(folder: Path) -> bool:
    """Whether a folder has a record."""
    return (folder / _RECORD).is_file()


def read_record(folder: Path) -> RunRecord:
    """Reads a record.

    Raises:
        FileNotFoundError: a file of it is missing.
        OSError: the file system failed.
        DataError: a file is damaged, or of another release.
    """
    try:
        described = _Description.model_validate_json((folder / _RECORD).read_bytes())
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join(map(str, fault["loc"]))
        raise DataError(f"{_RECORD}: {key}: {fault['msg']}") from error
    columns = {_METRICS: _METRIC_COLUMNS, _UNITS: _UNIT_COLUMNS, _IMAGES: _IMAGE_COLUMNS}
    tables = {name: _read(folder / name, wanted) for name, wanted in columns.items()}
    facts = described.model_dump(exclude={"format"})
    return RunRecord(**facts, metrics=tables[_METRICS], unit_scores=tables[_UNITS], images=tables[_IMAGES])


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    table = read_table(path)
    if lost := [name for name in columns if name not in table]:
        raise DataError(f"{path.name}: lacks the columns {', '.join(lost)}")
    return table
