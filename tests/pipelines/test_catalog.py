"""Every table has a model, every model a table, and a wrong table stops at the node that made it."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner

from pipelines.run.causes import first_cause
from stablerep.errors import DataError, StableRepError
from stablerep.validation import schemas

ROOT = Path(__file__).parents[2]
CATALOG = yaml.safe_load((ROOT / "conf/base/catalog.yml").read_text(encoding="utf-8"))
CHECKED = {name: entry for name, entry in CATALOG.items() if "validator" in entry}
# JSON that a node reads: checked by a function
CHECKED_JSON = {"caption_gate"}
TABLES = {name: entry for name, entry in CHECKED.items() if name not in CHECKED_JSON}
PARQUET = {"pipelines.datasets.ParquetDataset", "pipelines.datasets.LazyParquetDataset"}
# written by hand as CSV: tables, but no Parquet files
OTHER_TABLES = {"takedowns", "evaluation_captions"}
# checked by what reads and writes them: batches within a node, and the tables in the folder of an image set
CHECKED_ELSEWHERE = {"CaptionsIn", "ImageManifest", "AlignmentScores", "ImageSetImages", "ImageSetCaptions"}


def test_every_table_has_a_model_and_every_model_a_table() -> None:
    parquet = {name for name, entry in CATALOG.items() if entry["type"] in PARQUET}
    assert set(TABLES) == parquet | OTHER_TABLES
    named = {entry["validator"].rsplit(".", 1)[1] for entry in TABLES.values()}
    models = {
        name
        for name, each in vars(schemas).items()
        if isinstance(each, type) and issubclass(each, schemas.Table) and not name.startswith(("_", "Table"))
    }
    assert named | CHECKED_ELSEWHERE == models


@pytest.mark.parametrize("name", sorted(set(TABLES) - {"takedowns", "evaluation_captions"}))
def test_a_wrong_table_stops_at_the_node_that_made_it(name: str, tmp_path: Path) -> None:
    entry: dict[str, Any] = {**CATALOG[name], "filepath": str(tmp_path / "x.parquet")}
    name = name.format(set="mine")
    catalog = DataCatalog.from_config({name: entry})
    ran: list[str] = []

    def make() -> pd.DataFrame:
        ran.append("make")
        return pd.DataFrame({"nonsense": [1]})

    def use(table: pd.DataFrame) -> int:
        ran.append("use")
        return len(table)

    nodes = [node(make, None, name, name="make"), node(use, name, "size", name="use")]
    with pytest.raises(Exception, match=f"'{name}' on save") as caught:
        SequentialRunner().run(Pipeline(nodes), catalog)
    assert ran == ["make"]
    assert isinstance(first_cause(caught.value, StableRepError), DataError)
    assert "column 'nonsense': unknown; must not be there" in str(first_cause(caught.value, StableRepError))
    assert not (tmp_path / "x.parquet").exists()
