"""The tables of all image sets, and how the report reads them."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stablerep.errors import ConfigError
from stablerep.image_set_metrics.diversity import Diversity
from stablerep.image_set_metrics.measure import measure_image_sets
from stablerep.image_set_metrics.near_duplicates import NearDuplicates
from stablerep.image_set_metrics.precision_recall import PrecisionRecall
from stablerep.reporting.image_set_metrics import near_pairs, table_of_set_metrics
from stablerep.validation.schemas import ImageSetMetrics, NearImages
from tests.stablerep.image_set_metrics.samples import context, random_images, sample


@pytest.fixture
def measurements(tmp_path: Path):
    rng = np.random.default_rng(0)
    images = random_images(20)
    images[1] = images[0]
    one = sample("one", 20, images=images, labels=[0] * 12 + [1] * 8)
    two = sample("two", 20)
    real = sample("real.validation", 30, labels=[0] * 15 + [1] * 15)
    features = {
        name: rng.normal(size=(num, 4)) for name, num in (("one", 20), ("two", 20), ("real.validation", 30))
    }
    given = context(tmp_path, features, real)
    return measure_image_sets([one, two], given, [Diversity(), PrecisionRecall(), NearDuplicates()], None, 10)


def test_each_set_and_the_reference_has_rows_by_metric_and_group(measurements) -> None:
    values = measurements.values
    ImageSetMetrics.validate(values)
    assert values["image_set"].unique().tolist() == ["one", "two", "real.validation"]
    of_reference = values[values["image_set"] == "real.validation"]
    assert set(of_reference["metric"]) == {"vendi", "near_duplicates"}, "it is not compared with itself"
    assert set(values.loc[values["image_set"] == "one", "group"]) == {"all", "shape=round"}
    assert values["reference_digest"].nunique() == 1
    precision = values[values["metric"] == "precision"].set_index(["image_set", "group"])
    assert precision.loc[("one", "shape=round"), "num_images"] == 12
    assert precision.loc[("one", "shape=round"), "num_reference"] == 15
    assert precision.loc[("two", "all"), "num_reference"] == 30


def test_pairs_have_pictures(measurements) -> None:
    NearImages.validate(measurements.pairs)
    (pair,) = measurements.pairs.to_dict("records")
    assert (pair["image_set"], pair["image_id"], pair["other_id"]) == ("one", "one-0", "one-1")
    shown = np.array(Image.open(io.BytesIO(pair["picture"])))
    assert np.array_equal(shown, random_images(20)[0].permute(1, 2, 0).numpy())


def test_large_pictures_are_made_small(tmp_path: Path) -> None:
    images = torch.zeros(2, 3, 300, 150, dtype=torch.uint8)
    images[:, :, 40:200] = 200
    large = sample("large", 2, images=images)
    given = context(tmp_path, {}, sample("real.validation", 3))
    pairs = measure_image_sets([large], given, [NearDuplicates()], None, 2).pairs
    assert Image.open(io.BytesIO(pairs["picture"][0])).size == (64, 128)


def test_two_metrics_of_one_name_are_refused(tmp_path: Path) -> None:
    given = context(tmp_path, {}, sample("real.validation", 3))
    with pytest.raises(ConfigError, match="each name must be there once"):
        measure_image_sets([], given, [Diversity(), Diversity()], None, 2)


def test_the_report_gets_a_row_per_metric_and_the_pictures_of_pairs(measurements) -> None:
    table = table_of_set_metrics(measurements.values)
    assert (table.image_sets, table.reference, table.num_reference) == (["one", "two"], "real.validation", 30)
    rows = {row.metric: row for row in table.rows}
    assert list(rows) == ["vendi", "precision", "recall", "near_duplicates"]
    assert rows["near_duplicates"].values["one"] == (pytest.approx(2 / 20), 20)
    assert set(rows["precision"].values) == {"one", "two"}
    assert set(rows["vendi"].values) == {"one", "two", "real.validation"}
    assert rows["precision"].extractor == "given"
    of_class = table_of_set_metrics(measurements.values, "shape=round")
    assert {row.metric: row.values["one"][1] for row in of_class.rows}["precision"] == 12
    (pair,) = near_pairs(measurements.pairs)["one"]
    assert (pair.kind, pair.other, pair.similarity) == ("near_duplicate", "one: one-1", 1)
    assert base64.b64decode(pair.picture.split(",")[1])[:4] == b"\x89PNG"
