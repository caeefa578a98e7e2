"""What is kept of a run."""

import json
from pathlib import Path

import pandas as pd
import pytest

from stablerep.errors import DataError
from stablerep.reporting.record import is_record, kept_captions, read_record, write_record
from tests.stablerep.reporting.content import make_record


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    record = make_record()
    write_record(tmp_path / "new" / "record", record)
    found = read_record(tmp_path / "new" / "record")
    for name in ("experiment_name", "headline", "cautions", "configuration", "image_sets", "seconds"):
        assert getattr(found, name) == getattr(record, name), name
    assert list(found.seeds) == list(record.seeds)
    for name in ("metrics", "unit_scores", "images"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(record, name))
    assert is_record(tmp_path / "new" / "record") and not is_record(tmp_path)


def test_runs_that_share_captions_keep_the_same_ones() -> None:
    ids = [f"c-{number:03d}" for number in range(40)]
    assert kept_captions(ids[::-1]) == ids[:12]
    assert set(kept_captions(ids[5:])) & set(kept_captions(ids)) == set(ids[5:12])


def drop_file(folder: Path) -> str:
    (folder / "unit_scores.parquet").unlink()
    return "unit_scores.parquet"


def damage_table(folder: Path) -> str:
    (folder / "metrics.parquet").write_bytes(b"not a table")
    return "metrics.parquet"


def drop_column(folder: Path) -> str:
    path = folder / "metrics.parquet"
    pd.read_parquet(path).drop(columns="num_units").to_parquet(path)
    return "metrics.parquet: lacks the columns num_units"


def drop_description(folder: Path) -> str:
    (folder / "record.json").unlink()
    return "record.json"


def write_another_format(folder: Path) -> str:
    path = folder / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    return "record.json: format: Input should be less than or equal to 1"


@pytest.mark.parametrize(
    "spoil", [drop_file, damage_table, drop_column, drop_description, write_another_format]
)
def test_a_damaged_record_is_an_error_that_names_the_file(spoil, tmp_path: Path) -> None:
    write_record(tmp_path, make_record())
    told = spoil(tmp_path)
    missing = spoil in (drop_file, drop_description)
    with pytest.raises(FileNotFoundError if missing else DataError) as caught:
        read_record(tmp_path)
    assert told in str(caught.value)
