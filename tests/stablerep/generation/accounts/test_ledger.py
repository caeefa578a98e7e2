"""What an image set cost is kept, added up, told beforehand and written beside the images' table."""

import logging

import pandas as pd
import pytest

from stablerep.generation.accounts.ledger import Ledger, duration
from stablerep.generation.image_sets.image_set import ImageSetRequest, make_image_set

SPENT = {
    "num_made_images": 10,
    "seconds": 5.0,
    "gpu_energy_j": None,
    "processor_energy_j": 2.0,
    "price": None,
}
RATE = {"start_s": 2.0, "images_per_second": 4.0}


def test_costs_add_up_by_generator_and_survive_the_process(tmp_path):
    store = tmp_path / "images"
    Ledger(store, None).add("a x 1", "a", SPENT, RATE)
    Ledger(store, None).add("a x 1", "a", {**SPENT, "gpu_energy_j": 7.0, "price": 1.5}, RATE)
    Ledger(store, None).add("b x 1", "b", SPENT, RATE)
    total = Ledger(store, None).total("a")
    assert total == {
        "num_made_images": 20, "seconds": 10.0, "gpu_energy_j": 7.0, "processor_energy_j": 4.0, "price": 1.5,
    }  # fmt: skip
    assert Ledger(store, None).total("nobody")["num_made_images"] == 0


def test_a_forecast_is_the_start_and_the_images_by_their_rate(tmp_path):
    ledger = Ledger(tmp_path / "images", None)
    assert "nothing was measured yet" in ledger.forecast("a x 1", 8)
    ledger.add("a x 1", "a", SPENT, RATE)
    assert ledger.forecast("a x 1", 8) == "about 4 s"
    assert ledger.forecast("a x 1", 0) == "about 0 s"
    assert "nothing was measured yet" in ledger.forecast("a x 2", 8)


def test_a_forecast_tells_the_price_where_one_is_set(tmp_path):
    ledger = Ledger(tmp_path / "images", 36.0)
    ledger.add("a x 1", "a", SPENT, {"start_s": 0.0, "images_per_second": 1.0})
    assert ledger.forecast("a x 1", 7200) == "about 2.0 h for 72.00"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.6, "3 s"), (99.4, "99 s"), (150, "2 min"), (7200, "2.0 h"), (36_000_000, "417 days")],
)
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text


def test_a_file_that_cannot_be_read_is_said_and_costs_nothing_else(tmp_path, caplog):
    (tmp_path / "images.ledger.json").write_text("{")
    assert Ledger(tmp_path / "images", None).total("a")["seconds"] == 0
    assert "what was spent before is not counted" in caplog.text


def test_the_manifest_carries_the_ledger_and_a_run_that_draws_nothing_leaves_it(
    tmp_path, tiny_generator, settings, captions_of, texts
):
    def run(texts):
        made, now = make_image_set(
            ImageSetRequest(
                captions_of(texts), settings(price_per_hour=3600), tiny_generator, tmp_path / "images", 0
            )
        )
        made.to_parquet(tmp_path / "manifest.parquet")
        return pd.read_parquet(tmp_path / "manifest.parquet").attrs["ledger"], now

    first, now = run(texts[:3])
    assert first["num_made_images"] == 6 and first["seconds"] == now["seconds"] > 0
    assert first["price"] == pytest.approx(now["seconds"], abs=1.1e-3)  # at one a second
    assert run(texts[:3])[0] == first
    more, _ = run(texts)
    assert more["num_made_images"] == 12 and more["seconds"] > first["seconds"]
    assert more["generator_id"] == first["generator_id"]


def test_progress_tells_rate_time_left_and_the_price_of_the_whole(
    tmp_path, tiny_generator, settings, captions_of, texts, caplog
):
    caplog.set_level(logging.INFO)
    given = settings(price_per_hour=3600)
    make_image_set(ImageSetRequest(captions_of(texts), given, tiny_generator, tmp_path / "images", 0))
    told = [record.getMessage() for record in caplog.records if "written: 12 of 12 images" in record.message]
    assert len(told) == 1
    assert "images/s, about 0 s left of " in told[0] and " for " in told[0]
