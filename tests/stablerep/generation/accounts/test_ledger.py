"""What an image set cost is kept, added up, told beforehand and written beside the images' table."""

import logging

import pandas as pd
import pytest

from stablerep.generation.accounts.ledger import DrawnShard, FoundShard, Ledger, duration
from stablerep.generation.image_sets.image_set import ImageSetRequest, make_image_set

SPENT = {
    "num_made_images": 10,
    "seconds": 5.0,
    "gpu_energy_j": None,
    "processor_energy_j": 2.0,
    "price": None,
}
RATE = {"start_s": 2.0, "images_per_second": 4.0}


def spend(ledger, generator_id, spent, rate):
    ledger.begin(generator_id, {})
    ledger.count(f"{generator_id} x 1", generator_id, spent, rate)


def test_costs_add_up_by_generator_and_survive_the_process(tmp_path):
    store = tmp_path / "images"
    spend(Ledger(store, None), "a", SPENT, RATE)
    spend(Ledger(store, None), "a", {**SPENT, "gpu_energy_j": 7.0, "price": 1.5}, RATE)
    spend(Ledger(store, None), "b", SPENT, RATE)
    total = Ledger(store, None).total("a")
    assert total == {
        "num_made_images": 20, "seconds": 10.0, "gpu_energy_j": 7.0, "processor_energy_j": 4.0, "price": 1.5,
    }  # fmt: skip
    assert Ledger(store, None).total("nobody")["num_made_images"] == 0


def test_a_forecast_is_the_start_and_the_images_by_their_rate(tmp_path):
    ledger = Ledger(tmp_path / "images", None)
    assert "nothing was measured yet" in ledger.forecast("a x 1", 8)
    spend(ledger, "a", SPENT, RATE)
    assert ledger.forecast("a x 1", 8) == "about 4 s"
    assert ledger.forecast("a x 1", 0) == "about 0 s"
    assert "nothing was measured yet" in ledger.forecast("a x 2", 8)


def test_a_forecast_tells_the_price_where_one_is_set(tmp_path):
    ledger = Ledger(tmp_path / "images", 36.0)
    spend(ledger, "a", SPENT, {"start_s": 0.0, "images_per_second": 1.0})
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


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "5",
        "null",
        '{"rates": {}}',
        '{"rates": [], "totals": {}}',
        '{"rates": {}, "totals": {"a": 5}}',
        '{"rates": {"a x 1": 5}, "totals": {}}',
        '{"rates": {"a x 1": {}}, "totals": {}}',
        '{"rates": {}, "totals": {"a": {"seconds": "x"}}}',
        '{"rates": {}, "totals": {}, "open": {"a": [1]}}',
        '{"rates": {}, "totals": {}, "open": {"a": {"x.tar": {"num_drawn": 1}}}}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:60],
)
def test_a_file_of_another_form_is_said_and_written_again(tmp_path, caplog, text):
    (tmp_path / "images.ledger.json").write_text(text)
    ledger = Ledger(tmp_path / "images", None)
    assert "what was spent before is not counted" in caplog.text
    assert "nothing was measured yet" in ledger.forecast("a x 1", 8)
    spend(ledger, "a", SPENT, RATE)
    assert Ledger(tmp_path / "images", None).total("a") == SPENT


def test_figures_of_a_run_replace_those_that_it_counted_before(tmp_path):
    ledger = Ledger(tmp_path / "images", None)
    spend(ledger, "a", SPENT, RATE)
    ledger.begin("a", {name: DrawnShard(4, 4, "") for name in ("1.tar", "2.tar")})
    ledger.count("a x 1", "a", {**SPENT, "num_made_images": 4}, RATE, "1.tar")
    assert Ledger(tmp_path / "images", None).total("a")["num_made_images"] == 14
    ledger.count("a x 1", "a", {**SPENT, "num_made_images": 8, "seconds": 9.0}, RATE, "2.tar")
    total = Ledger(tmp_path / "images", None).total("a")
    assert (total["num_made_images"], total["seconds"]) == (18, 14.0)


@pytest.mark.parametrize(
    ("found", "num"),
    [
        ({}, 0),
        ({"2.tar": FoundShard("old", 1)}, 0),  # as it was
        ({"2.tar": FoundShard("old", 5)}, 0),  # likewise: as many images were to leave as to be drawn
        ({"2.tar": FoundShard("new", 5)}, 4),  # as it was to be
        ({"2.tar": FoundShard("new", 3)}, 0),  # changed by something else
        ({"2.tar": FoundShard("", 0)}, 0),  # damaged
        ({"1.tar": FoundShard("new", 5), "2.tar": FoundShard("new", 5)}, 4),  # the first was counted
    ],
)
def test_what_a_killed_run_wrote_and_did_not_count_is_counted_once(tmp_path, found, num):
    killed = Ledger(tmp_path / "images", None)
    killed.begin("a", {"1.tar": DrawnShard(4, 5, ""), "2.tar": DrawnShard(4, 5, "old")})
    killed.count("a x 1", "a", {**SPENT, "num_made_images": 4}, RATE, "1.tar")
    for _ in range(2):
        following = Ledger(tmp_path / "images", None)
        following.settle(found)
        total = Ledger(tmp_path / "images", None).total("a")
        assert (total["num_made_images"], total["seconds"]) == (4 + num, 5.0)


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
