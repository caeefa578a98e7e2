"""Image sets: only what is missing is made, and the result does not tell how it came about."""

import logging
import multiprocessing
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from stablerep.caption_ids import caption_id_of
from stablerep.errors import ConfigError, DataError, GeneratorError
from stablerep.generation.accounts.ledger import Ledger
from stablerep.generation.executors.local import LocalExecutor
from stablerep.generation.image_sets import progress, workers
from stablerep.generation.image_sets.image_set import ImageSetRequest, make_image_set
from stablerep.generation.image_sets.inspect import inspect_images, without_taken_down
from stablerep.generation.image_sets.manifest import MANIFEST_COLUMNS
from stablerep.processes import log_to_terminal
from stablerep.storage.shards import SHARDS_FOLDER, read_images, scan_shard, shard_name
from stablerep.validation.schemas import ImageManifest
from tests.stablerep.storage.damaged_tars import with_a_link


@pytest.fixture
def store(tmp_path):
    return tmp_path / "images"


@pytest.fixture
def make(tiny_generator, settings, captions_of, store):
    """Returns a function that brings the image set to what is asked for."""

    def run(texts, folder=tiny_generator, into=store, seed=0, executor=None, **changes):
        by = executor or LocalExecutor()
        return make_image_set(
            ImageSetRequest(captions_of(texts), settings(**changes), folder, into, seed, executor=by)
        )

    return run


def files_of(store):
    return {
        path.relative_to(store).as_posix(): path.read_bytes() for path in store.rglob("*") if path.is_file()
    }


def test_the_manifest_has_a_row_an_image_and_the_images_are_there(make, store, texts):
    manifest, ledger = make(texts)
    assert list(manifest.columns) == list(MANIFEST_COLUMNS)
    keys = list(zip(manifest.caption_id, manifest.image_index, strict=True))
    assert keys == sorted((caption_id_of(text), k) for text in texts for k in range(2))
    images, caption_ids = read_images(store, manifest)
    assert images.shape == (12, 3, 16, 16)
    assert caption_ids == list(manifest.caption_id)
    assert set(manifest.width_px) == set(manifest.height_px) == {16}
    pd.testing.assert_frame_equal(pd.read_parquet(store / "manifest.parquet"), manifest)
    expected = {"num_captions": 6, "num_kept": 0, "num_made_captions": 6, "num_made_images": 12}
    assert ledger.items() >= (expected | {"num_dropped": 0, "num_truncated": 0}).items()
    assert ledger["images_per_second"] > 0 and ledger["seconds"] > 0
    assert set(manifest.generator_id) == {ledger["generator_id"]}


def test_the_manifest_passes_its_schema(make, texts):
    # the policy adds the column
    manifest = make(texts)[0].assign(alignment=0.5)
    pd.testing.assert_frame_equal(ImageManifest.validate(manifest), manifest, check_like=True)


def test_a_second_run_makes_nothing_and_loads_no_model(make, store, texts, monkeypatch):
    first, _ = make(texts)
    before = files_of(store)
    monkeypatch.setattr(workers, "DiffusersGenerator", None)
    monkeypatch.setattr(workers, "open_shard", None)
    second, ledger = make(texts)
    assert ledger["num_made_images"] == 0 and ledger["num_kept"] == 6
    pd.testing.assert_frame_equal(first, second)
    assert files_of(store) == before


def test_an_edited_caption_costs_its_images_and_touches_two_shards_at_most(make, store, texts):
    manifest, _ = make(texts)
    before = files_of(store)
    edited, ledger = make(["a blue eight", *texts[1:]])
    expected = {"num_kept": 5, "num_made_captions": 1, "num_made_images": 2, "num_dropped": 1}
    assert ledger.items() >= expected.items()
    shared = manifest.merge(edited, on=list(MANIFEST_COLUMNS))
    assert len(shared) == 10
    touched = {shard_name(caption_id_of(text), 3) for text in (texts[0], "a blue eight")}
    after = files_of(store)
    for name in before:
        if name.startswith(SHARDS_FOLDER) and name.split("/")[1] not in touched:
            assert after[name] == before[name]


def test_what_is_no_longer_wanted_is_pruned_from_the_disk(make, store, texts):
    make(texts)
    manifest, ledger = make(texts[:1])
    assert ledger["num_dropped"] == 5 and ledger["num_made_images"] == 0
    assert len(manifest) == 2
    stored = [set(scan_shard(path).samples) for path in (store / SHARDS_FOLDER).iterdir()]
    assert stored == [{caption_id_of(texts[0])}]


def test_a_large_shard_tells_how_far_it_is(make, texts, monkeypatch, caplog):
    monkeypatch.setattr(progress, "LOG_EVERY_S", 0.0)
    with caplog.at_level(logging.INFO, "stablerep"):
        make(texts, num_shards=1, batch_size=5)
    told = [record.getMessage() for record in caplog.records if "images drawn" in record.getMessage()]
    assert [line.partition(" images/s")[0].rpartition(",")[0] for line in told] == [
        f"images-00000-of-00001.tar: {num} of 12 images drawn" for num in (4, 8)
    ]
    assert all(line.endswith("left of this file") for line in told)


def test_processes_tell_it_too(capfd):
    """A worker has no logging of its own; the terminal is its main process's."""
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=_tell)
    worker.start()
    worker.join(60)
    assert re.search(r"\d\d:\d\d:\d\d INFO half done\n", capfd.readouterr().err)


def _tell():
    log_to_terminal()
    log_to_terminal()
    logging.getLogger("stablerep.generation.image_sets.workers").info("half done")


def test_any_way_to_a_set_leaves_the_same_images(make, store, texts, tmp_path):
    make(texts[:3])
    one, _ = make(texts)
    make(texts[1:], into=tmp_path / "other")
    other, _ = make(texts[::-1], into=tmp_path / "other")
    assert files_of(store / SHARDS_FOLDER).keys() == files_of(tmp_path / "other" / SHARDS_FOLDER).keys()
    but_for_bytes = [name for name in MANIFEST_COLUMNS if name != "digest"]
    pd.testing.assert_frame_equal(one[but_for_bytes], other[but_for_bytes])
    # drawn in other batches, where networks may round a level apart
    difference = read_images(store, one)[0].int() - read_images(tmp_path / "other", other)[0].int()
    assert difference.abs().max() <= 1
    assert (difference != 0).float().mean() < 0.01


def test_equal_captions_are_one(make, texts):
    manifest, ledger = make(["a nine", "a nine"])
    assert ledger["num_captions"] == 1 and len(manifest) == 2


def test_more_images_a_caption_keep_those_that_are_there(make, texts):
    two, _ = make(texts)
    three, ledger = make(texts, images_per_caption=3)
    assert ledger["num_made_images"] == 6
    assert len(two.merge(three, on=list(MANIFEST_COLUMNS))) == 12
    again, ledger = make(texts, images_per_caption=2)
    assert ledger["num_made_images"] == 0
    pd.testing.assert_frame_equal(again, two)


def test_another_number_of_shards_moves_images_and_draws_none(make, store, texts, tmp_path):
    three, _ = make(texts)
    moved, ledger = make(texts, num_shards=2)
    assert ledger["num_made_images"] == 0
    columns = ["caption_id", "image_index", "digest", "seed"]
    pd.testing.assert_frame_equal(moved[columns], three[columns])
    make(texts, num_shards=3)
    fresh = tmp_path / "fresh"
    make(texts, into=fresh)
    assert files_of(store) == files_of(fresh)


@pytest.mark.parametrize(
    "changes",
    [{"guidance_scale": 3.0}, {"num_inference_steps": 4}, {"negative_prompt": "a two"}, {"seed": 1}],
)
def test_images_of_another_generator_or_seed_count_as_missing(make, texts, changes):
    before, _ = make(texts)
    after, ledger = make(texts, **changes)
    assert ledger["num_made_images"] == 12 and ledger["num_dropped"] == 0
    assert set(before.generator_id) != set(after.generator_id) or "seed" in changes
    assert not set(before.digest) & set(after.digest)


def test_other_weights_are_another_generator(make, texts, tiny_generator, tiny_stable_diffusion):
    before, _ = make(texts)
    after, ledger = make(texts, folder=tiny_stable_diffusion)
    assert ledger["num_made_images"] == 12
    assert set(before.generator_id) != set(after.generator_id)


def test_a_new_source_or_licence_rewrites_the_record_and_draws_nothing(
    make, store, texts, captions_of, settings, tiny_generator
):
    make(texts)
    frame = captions_of(texts).assign(licence="CC-BY-4.0")
    _, ledger = make_image_set(ImageSetRequest(frame, settings(), tiny_generator, store, 0))
    assert ledger["num_made_images"] == 0
    for path in (store / SHARDS_FOLDER).iterdir():
        assert {s.record["licence"] for s in scan_shard(path).samples.values()} == {"CC-BY-4.0"}


def test_a_tampered_image_is_named_and_made_again(make, store, texts, caplog):
    manifest, _ = make(texts)
    before = files_of(store)
    row = manifest.iloc[5]
    path = store / SHARDS_FOLDER / row.shard
    data = bytearray(path.read_bytes())
    position = data.index(f"{row.member}\0".encode()) + 512 + 40
    data[position] ^= 1
    path.write_bytes(data)
    caplog.set_level(logging.INFO)
    again, ledger = make(texts)
    assert ledger["num_made_images"] == 1
    assert f"{row.shard}: {row.member} has other bytes than its record says; made again" in caplog.text
    assert files_of(store).keys() == before.keys()
    read_images(store, again)


def test_a_truncated_shard_is_named_and_its_lost_images_are_made_again(make, store, texts, caplog):
    manifest, _ = make(texts)
    name, rows = max(manifest.groupby("shard"), key=lambda each: len(each[1]))
    path = store / SHARDS_FOLDER / name
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(f"{rows.member.iloc[-1]}\0".encode())])
    again, ledger = make(texts)
    assert ledger["num_made_images"] == 1
    assert f"{name}: {rows.member.iloc[-1]} is missing; made again" in caplog.text
    assert len(again) == len(manifest) and scan_shard(path).faults == []
    path.unlink()
    _, ledger = make(texts)
    assert ledger["num_made_images"] == len(rows)
    # the whole shard in the batches of the first time: the same bytes
    assert path.read_bytes() == whole


@pytest.mark.parametrize("target", ["nowhere.png", "/etc/passwd"])
def test_a_link_inside_a_shard_is_named_and_its_image_is_made_again(make, store, texts, caplog, target):
    manifest, _ = make(texts)
    before, row = files_of(store), manifest.iloc[5]
    path = store / SHARDS_FOLDER / row.shard
    path.write_bytes(with_a_link(path.read_bytes(), row.member, target))
    _, ledger = make(texts)
    assert ledger["num_made_images"] == 1
    assert f"{row.shard}: {row.member} is missing; made again" in caplog.text
    assert scan_shard(path).faults == [] and files_of(store).keys() == before.keys()


def test_a_record_with_other_words_is_not_believed(make, store, texts):
    manifest, _ = make(texts)
    path = store / SHARDS_FOLDER / manifest.shard[0]
    path.write_bytes(path.read_bytes().replace(b'"seed": 0,', b'"seed": 7,', 1))
    _, ledger = make(texts)
    assert ledger["num_made_images"] == 2


def test_the_plan_is_told_before_work_starts(make, texts, caplog):
    caplog.set_level(logging.INFO)
    make(texts)
    make(["a blue eight", *texts[1:]])
    plans = [record.getMessage() for record in caplog.records if " to make" in record.getMessage()]
    assert plans[0].startswith("6 captions: 0 kept, 6 to make, 0 to drop; no forecast before the first batch")
    assert plans[1].startswith("6 captions: 5 kept, 1 to make, 1 to drop; about ")


def test_a_forecast_from_the_first_batch_comes_before_the_first_shard(make, texts, caplog):
    caplog.set_level(logging.INFO)
    make(texts, num_shards=1, batch_size=5)
    lines = [record.getMessage() for record in caplog.records]
    forecasts = [number for number, line in enumerate(lines) if line.startswith("a batch of 4 images took")]
    written = [number for number, line in enumerate(lines) if line.startswith("shard 1 of 1 written")]
    assert len(forecasts) == len(written) == 1 and forecasts < written
    assert lines[forecasts[0]].endswith(" for the run's 12 images in 1 process")


def test_settings_for_a_gpu_are_warned_of_on_a_cpu_with_the_forecast(make, texts, caplog):
    caplog.set_level(logging.INFO)
    make(texts[:1], dtype="float16")
    lines = [record.getMessage() for record in caplog.records]
    warned = [number for number, line in enumerate(lines) if "dtype is float16, which a CPU computes" in line]
    planned = [number for number, line in enumerate(lines) if " to make" in line]
    drawn = [number for number, line in enumerate(lines) if line.startswith("a batch of")]
    assert planned < warned < drawn and len(warned) == 1


def test_an_image_set_that_is_complete_is_not_warned_of(make, texts, caplog):
    make(texts[:1], dtype="float16")
    caplog.clear()
    make(texts[:1], dtype="float16")
    assert "which a CPU computes" not in caplog.text


def test_captions_that_are_too_long_are_counted_each_time(make, texts, caplog):
    long = "a teal handwritten seven on a striped orange background and a red two and a nine"
    for _ in range(2):
        _, ledger = make([*texts, long])
        assert ledger["num_truncated"] == 1
    assert "1 of 7 captions are longer than the text encoder accepts" in caplog.text


def test_leftovers_of_a_kill_go_and_foreign_files_stay(make, store, texts, caplog):
    make(texts)
    before = files_of(store)
    (store / SHARDS_FOLDER / "images-00000-of-00003.tar.77.partial").write_bytes(b"half")
    (store / SHARDS_FOLDER / "notes.txt").write_text("mine")
    make(texts)
    after = files_of(store)
    assert after.pop(f"{SHARDS_FOLDER}/notes.txt") == b"mine"
    assert after == before
    assert "left alone, not shards: notes.txt" in caplog.text


def test_no_captions_are_an_error_and_cost_no_image(make, store, texts):
    make(texts)
    before = files_of(store)
    with pytest.raises(DataError, match="got no captions; must be at least one"):
        make([])
    assert files_of(store) == before


def test_a_caption_set_without_texts_names_the_column(settings, store, tiny_generator):
    with pytest.raises(DataError, match="column text is missing"):
        make_image_set(
            ImageSetRequest(pd.DataFrame({"caption_id": ["c-a"]}), settings(), tiny_generator, store, 0)
        )


@pytest.mark.parametrize("text", ["", "\x07\x1b\x00", " \n\t", "\u200b", None, float("nan")])
def test_a_caption_that_shows_nothing_is_named(make, settings, captions_of, store, tiny_generator, text):
    frame = captions_of(["a nine", "a red two"])
    frame["text"] = frame["text"].astype(object)
    frame.loc[1, "text"] = text
    told = rf"caption '{frame.caption_id[1]}': got .*; must have a letter, number or sign"
    with pytest.raises(DataError, match=told):
        make_image_set(ImageSetRequest(frame, settings(), tiny_generator, store, 0))


# what says how images are drawn is written before the first shard, the table after the last
@pytest.mark.parametrize(("file", "num_lost"), [("manifest.parquet", 0), ("generator.json", 6)])
def test_a_disk_that_fills_up_keeps_shards_and_table(make, store, texts, monkeypatch, file, num_lost):
    make(texts[:3])
    before = (store / file).read_bytes()
    replace = Path.replace

    def full(source, target):
        if str(target).endswith(file):
            raise OSError(28, "No space left on device")
        return replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(DataError, match=rf"{file}: cannot be written \(No space left on device\)"):
            make(texts)
    assert (store / file).read_bytes() == before
    assert not list(store.glob("*.partial"))
    _, ledger = make(texts)
    assert ledger["num_made_images"] == num_lost


def test_a_cut_off_weight_file_costs_no_image(make, store, texts, tiny_generator, tmp_path):
    make(texts)
    before = files_of(store)
    folder = tmp_path / "cut"
    shutil.copytree(tiny_generator, folder)
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(GeneratorError, match=r"incomplete download: vae/diffusion_pytorch_model"):
        make(texts, folder=folder)
    assert files_of(store) == before


def test_a_missing_model_costs_no_image(make, store, texts, tmp_path):
    make(texts)
    before = files_of(store)
    with pytest.raises(GeneratorError, match=r"nowhere: no such folder"):
        make(texts, folder=tmp_path / "nowhere")
    assert files_of(store) == before


def test_guidance_below_zero_is_refused(make, texts):
    with pytest.raises(ConfigError, match=r"generator\.guidance_scale: got -1.0; must be >= 0"):
        make(texts, guidance_scale=-1.0)


def test_a_card_beside_the_weights_makes_no_other_generator(make, texts, tiny_generator, tmp_path):
    folder = tmp_path / "renamed"
    shutil.copytree(tiny_generator, folder)
    (folder / "README.md").write_text("a card")
    first, _ = make(texts)
    _, ledger = make(texts, folder=folder)
    assert ledger["num_made_images"] == 0 and ledger["generator_id"] == first.generator_id[0]


# ----------------------------------------------------------------------------------- safety checker


@pytest.fixture
def blanked(texts, monkeypatch):
    """Has the safety checker blank the second image of the first caption and both of the second."""
    wanted = {(caption_id_of(text), index) for text, index in ((texts[0], 1), (texts[1], 0), (texts[1], 1))}
    draw = workers.DiffusersGenerator.draw

    def checked(self, requests, seed, on_step):
        done = 0
        for drawn in draw(self, requests, seed, on_step):
            keys = [(r.caption_id, r.index) for r in requests[done : done + len(drawn.images)]]
            done += len(keys)
            yield drawn._replace(unsafe=[key in wanted for key in keys])

    monkeypatch.setattr(workers.DiffusersGenerator, "draw", checked)
    return wanted


def test_blanked_images_are_counted_and_not_stored(make, store, texts, captions_of, blanked, caplog):
    manifest, ledger = make(texts)
    assert ledger["num_rejected_unsafe"] == 3 and len(manifest) == 12
    assert "3 of 12 images were blanked by the safety checker" in caplog.text
    ImageManifest.validate(manifest.assign(alignment=float("nan")))
    pd.testing.assert_frame_equal(pd.read_parquet(store / "manifest.parquet"), manifest)
    rejected = manifest[manifest.state == "rejected_unsafe"]
    assert set(zip(rejected.caption_id, rejected.image_index, strict=True)) == blanked
    stored = manifest[manifest.state == "intact"]
    images, _ = read_images(store, stored)
    assert len(images) == 9 and (images.flatten(1).float().std(dim=1) > 0).all()
    frame, of_captions = inspect_images(store, manifest, captions_of(texts))
    assert list(frame.member) == list(stored.member)
    assert set(of_captions.num_images) == {2} and of_captions.num_stored.sum() == 9


def test_blanked_images_are_not_drawn_again(make, store, texts, blanked, monkeypatch):
    first, _ = make(texts)
    before = files_of(store)
    with monkeypatch.context() as patch:
        patch.setattr(workers, "DiffusersGenerator", None)
        with patch.context() as inner:
            inner.setattr(workers, "open_shard", None)
            second, ledger = make(texts)
        assert ledger["num_made_images"] == 0 and ledger["num_rejected_unsafe"] == 3
        pd.testing.assert_frame_equal(first, second)
        assert files_of(store) == before
        moved, ledger = make(texts, num_shards=2)
        assert ledger["num_rejected_unsafe"] == 3
        fewer, ledger = make(texts, images_per_caption=1)
        assert ledger["num_rejected_unsafe"] == 1 and len(fewer) == 6
    # the blanked one of the index that was dropped is drawn again, and blanked again
    _, ledger = make(texts)
    assert ledger["num_made_images"] == 6 and ledger["num_rejected_unsafe"] == 3
    assert files_of(store) == before


def test_unchecked_images_are_those_of_another_generator(make, texts, tiny_stable_diffusion):
    before, _ = make(texts, folder=tiny_stable_diffusion)
    after, ledger = make(texts, folder=tiny_stable_diffusion, safety_checker=True)
    assert ledger["num_made_images"] == 12 and ledger["num_rejected_unsafe"] == 0
    assert set(before.generator_id) != set(after.generator_id)
    assert list(before.digest) == list(after.digest)


# ------------------------------------------------------------------------------- takedowns


def takedown_of(kind, what):
    row = {"what": what, "kind": kind, "reason": "why", "date": "2026-01-31", "who": "Ada"}
    return pd.DataFrame([row])


def test_a_caption_set_older_than_a_takedown_brings_nothing_back(
    make, store, texts, captions_of, settings, tiny_generator, caplog
):
    make(texts)
    taken = takedown_of("caption", caption_id_of(texts[1]))
    frame = captions_of(texts)
    manifest, ledger = make_image_set(ImageSetRequest(frame, settings(), tiny_generator, store, 0, taken))
    assert caption_id_of(texts[1]) not in set(manifest.caption_id)
    assert (ledger["num_captions"], ledger["num_dropped"], ledger["num_made_images"]) == (5, 1, 0)
    assert "1 captions of the set were taken down" in caplog.text
    before = files_of(store)
    with pytest.raises(DataError, match="all 6 captions were taken down"):
        make_image_set(
            ImageSetRequest(frame, settings(), tiny_generator, store, 0, takedown_of("source", "test"))
        )
    assert files_of(store) == before


def test_a_generator_that_was_taken_down_draws_nothing(
    make, store, texts, captions_of, settings, tiny_generator
):
    from stablerep.generation.diffusion.identity import describe_generator, model_id_of

    make(texts)
    before = files_of(store)
    facts = describe_generator(tiny_generator, settings())
    frame = captions_of(texts)
    for what in (facts["generator_id"], model_id_of(facts)):
        told = rf"generator {what} \(tiny\): taken down on 2026-01-31 by Ada: why"
        with pytest.raises(GeneratorError, match=told):
            make_image_set(
                ImageSetRequest(frame, settings(), tiny_generator, store, 0, takedown_of("generator", what))
            )
    assert files_of(store) == before
    # by its id it is these settings alone, by its model's whatever the settings
    other = settings(num_inference_steps=2)
    make_image_set(
        ImageSetRequest(
            frame, other, tiny_generator, store, 0, takedown_of("generator", facts["generator_id"])
        )
    )
    with pytest.raises(GeneratorError, match="taken down"):
        make_image_set(
            ImageSetRequest(
                frame, other, tiny_generator, store, 0, takedown_of("generator", model_id_of(facts))
            )
        )


# ------------------------------------------------------------------------------- several processes


@pytest.mark.slow
def test_two_processes_make_the_bytes_of_one(make, store, texts, tmp_path):
    from stablerep.generation.executors.processes import threads_of_a_process

    one, _ = make(texts)
    two, ledger = make(texts, into=tmp_path / "two", executor=LocalExecutor(2))
    assert ledger["num_made_images"] == 12
    pd.testing.assert_frame_equal(one.drop(columns="digest"), two.drop(columns="digest"))
    # with as many threads each, the pixels are bit-equal as well
    if threads_of_a_process(1) == threads_of_a_process(2):
        pd.testing.assert_frame_equal(one, two)
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_a_process_that_dies_is_told_and_finished_shards_stay(make, store, texts, tmp_path):
    make(texts[:3])
    kept = files_of(store)

    def kill_one():
        while not multiprocessing.active_children():
            time.sleep(0.02)
        multiprocessing.active_children()[0].kill()

    killer = threading.Thread(target=kill_one)
    killer.start()
    with pytest.raises(GeneratorError, match=r"process \d+ died after \d of .* finished shards are kept"):
        make(texts, executor=LocalExecutor(2, max_retries=0), num_shards=4)
    killer.join()
    assert kept.items() <= files_of(store).items()
    assert multiprocessing.active_children() == []
    make(texts, num_shards=4)
    fresh = tmp_path / "fresh"
    make(texts[:3], into=fresh)
    make(texts, into=fresh, num_shards=4)
    assert files_of(store) == files_of(fresh)


_SCRIPT = """
import os, signal, sys
from pathlib import Path
import pandas as pd
from stablerep.generation.image_sets import assembly, image_set
from stablerep.generation.accounts import ledger
from stablerep.generation.diffusion import generator
from stablerep.generation.executors.local import LocalExecutor
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.caption_ids import caption_id_of

folder, store, moment = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[4]
texts = sys.argv[3].split("|")
settings = GeneratorSettings(
    guidance_scale=2.5, num_inference_steps=3, images_per_caption=2, size_px=16, batch_size=2, num_shards=3
)
def die_at(holder, name, number, counts=lambda *args: True):
    real, calls = getattr(holder, name), []
    def counted(*args, **options):
        calls.extend([name] * counts(*args))
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **options)
    setattr(holder, name, counted)
moments = {
    "while a shard is drawn": (generator.DiffusersGenerator, "_finish", 4),
    "while a shard is written": (assembly.Assembly, "_sample", 4),
    "before a shard gets its name": (Path, "replace", 2, lambda _, path: path.suffix == ".tar"),
    "before a shard is counted": (ledger.Ledger, "count", 2),
    "before the table is written": (image_set, "write_manifest", 1),
}
if moment in moments:
    die_at(*moments[moment])
captions = pd.DataFrame({"caption_id": [caption_id_of(t) for t in texts], "text": texts,
                         "source": "test", "licence": "CC0-1.0"})
image_set.make_image_set(image_set.ImageSetRequest(captions, settings, folder, store, 0))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "num_left"),
    [
        ("while a shard is drawn", 12),
        ("while a shard is written", 12),
        ("before a shard gets its name", 12),
        ("before a shard is counted", 12),
        ("before the table is written", 0),
    ],
)
def test_a_killed_run_goes_on_and_leaves_the_bytes_of_an_uninterrupted_one(
    make, store, texts, tiny_generator, tmp_path, moment, num_left
):
    script = tmp_path / "make.py"
    script.write_text(_SCRIPT)
    command = [sys.executable, str(script), str(tiny_generator), str(store), "|".join(texts), moment]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    _, ledger = make(texts, batch_size=2)
    made = ledger["num_made_images"]
    assert Ledger(store, None).total(ledger["generator_id"])["num_made_images"] == 12
    # of three shards at least one was whole, and what was in flight is made again
    assert made == num_left == 0 or 0 < made < num_left
    fresh = tmp_path / "fresh"
    make(texts, into=fresh, batch_size=2)
    assert files_of(store) == files_of(fresh)


@pytest.mark.slow
def test_workers_end_when_the_main_process_is_killed(tiny_generator, store, texts, tmp_path):
    script = tmp_path / "make.py"
    guarded = "\n".join("    " + line for line in _SCRIPT.splitlines())
    guarded = guarded.replace("num_shards=3", "num_shards=6")
    guarded = guarded.replace("store, 0)", "store, 0, executor=LocalExecutor(2))")
    # the main process kills itself when the first shard is there; its pid file tells the workers' group
    guarded = guarded.replace(
        "image_set.make_image_set(",
        "import os, multiprocessing\n"
        "    from stablerep.generation.image_sets import making\n"
        "    real = making.make_shards\n"
        "    def watched(*args):\n"
        "        for made in real(*args):\n"
        "            pids = [str(p.pid) for p in multiprocessing.active_children()]\n"
        "            print(' '.join(pids), flush=True)\n"
        "            os.kill(os.getpid(), 9)\n"
        "            yield made\n"
        "    making.make_shards = watched\n"
        "    image_set.make_image_set(",
    )
    script.write_text(f"if __name__ == '__main__':\n{guarded}\n")
    command = [sys.executable, str(script), str(tiny_generator), str(store), "|".join(texts), "by itself"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 30
    while any(_is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(_is_alive(pid) for pid in pids)


def _is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


# -------------------------------------------------------------------------------------- inspection


def test_inspection_measures_each_image(make, store, texts, captions_of):
    manifest, _ = make(texts)
    frame, of_captions = inspect_images(store, manifest, captions_of(texts), [texts[0].upper() + "!"])
    added = ["decodable", "digest_matches", "pixel_std", "duplicate_of", "hash_distance_bits"]
    assert set(frame) == {*MANIFEST_COLUMNS, *added, "near_duplicate_of", "text", "evaluation_text"}
    images, _ = read_images(store, manifest)
    expected = (images.double() / 255).flatten(2).std(dim=2, correction=0).amax(dim=1)
    assert frame.pixel_std.tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert frame.decodable.all() and frame.digest_matches.all()
    text_of = {caption_id_of(text): text for text in texts}
    assert frame.text.tolist() == [text_of[caption_id] for caption_id in frame.caption_id]
    assert frame.evaluation_text.dropna().tolist() == [texts[0]] * 2
    pd.testing.assert_frame_equal(frame[list(MANIFEST_COLUMNS)], manifest)
    assert of_captions.text.tolist() == texts
    assert set(of_captions.num_images) == set(of_captions.num_stored) == {2}


def test_diversity_is_that_of_all_pairs_of_a_captions_images(make, store, texts, captions_of):
    manifest, _ = make(texts)
    _, of_captions = inspect_images(store, manifest, captions_of(texts))
    images, _ = read_images(store, manifest)
    small = torch.nn.functional.adaptive_avg_pool2d(images.double() / 255, 8)
    for row in of_captions.itertuples():
        one, two = small[torch.tensor(manifest.caption_id == row.caption_id)]
        assert row.diversity == pytest.approx(float((one - two).square().mean().sqrt()), rel=1e-4)


def test_a_caption_that_was_never_drawn_has_no_image_and_no_diversity(make, store, texts, captions_of):
    manifest, _ = make(texts[1:])
    _, of_captions = inspect_images(store, manifest, captions_of(texts))
    assert of_captions.num_images.tolist() == [0] + [2] * (len(texts) - 1)
    assert of_captions.diversity.isna().tolist() == [True] + [False] * (len(texts) - 1)


def test_copies_are_named_with_what_they_are_copies_of(make, store, texts, captions_of):
    manifest, _ = make(texts)
    copied = manifest.assign(**{name: manifest[name][0] for name in ("shard", "member", "digest")})
    frame, of_captions = inspect_images(store, copied, captions_of(texts))
    first = f"{manifest.caption_id[0]}.{manifest.image_index[0]}"
    assert frame.duplicate_of.isna().tolist() == [True] + [False] * (len(manifest) - 1)
    assert set(frame.duplicate_of.dropna()) == {first}
    assert (frame.hash_distance_bits == 0).all()
    assert (frame.near_duplicate_of != frame.caption_id + "." + frame.image_index.astype(str)).all()
    assert (of_captions.diversity == 0).all()


def test_captions_that_were_taken_down_are_not_missed(texts, captions_of):
    captions = captions_of(texts).assign(source=["shop", *["mine"] * (len(texts) - 1)])
    rows = [
        ("shop", "source", "r", "2026-01-31", "w"),
        (captions.caption_id[1], "caption", "r", "2026-01-31", "w"),
    ]
    takedowns = pd.DataFrame(rows, columns=["what", "kind", "reason", "date", "who"])
    assert without_taken_down(captions, takedowns).text.tolist() == texts[2:]


def test_inspection_records_what_cannot_be_read(make, store, texts, captions_of):
    manifest, _ = make(texts)
    gone = manifest.shard[0]
    (store / SHARDS_FOLDER / gone).unlink()
    frame, _ = inspect_images(store, manifest, captions_of(texts))
    lost = frame.shard == gone
    assert not frame.decodable[lost].any() and frame.decodable[~lost].all()
    assert (frame.width_px[lost] == 0).all()
    assert frame.hash_distance_bits[lost].isna().all()


@pytest.fixture
def make_further(tiny_generator, settings, captions_of, store):
    """Returns a function that brings the image set to two images a caption and further ones."""

    def run(texts, further, keeps_spare=False):
        named = {caption_id_of(text): indices for text, indices in further.items()}
        return make_image_set(
            ImageSetRequest(
                captions_of(texts),
                settings(),
                tiny_generator,
                store,
                0,
                further=named,
                keeps_spare=keeps_spare,
            )
        )

    return run


def test_further_images_of_a_caption_are_drawn_with_their_own_seeds(make, make_further, texts):
    two, _ = make(texts)
    more, ledger = make_further(texts, {texts[0]: (2, 4)})
    assert ledger["num_made_images"] == 2 and ledger["num_kept"] == 5
    assert len(two.merge(more, on=list(MANIFEST_COLUMNS))) == 12
    own = more[more["caption_id"] == caption_id_of(texts[0])]
    assert list(own["image_index"]) == [0, 1, 2, 4]
    # as if it had been asked for from the start: levels may differ by the batch, seeds do not
    five, _ = make(texts[:1], images_per_caption=5)
    assert five["seed"].tolist()[2] == own["seed"].tolist()[2]
    ImageManifest.validate(more.assign(alignment=float("nan")))


def test_further_images_are_not_drawn_again(make_further, texts, monkeypatch):
    first, _ = make_further(texts, {texts[0]: (2,)})
    monkeypatch.setattr(workers, "DiffusersGenerator", None)
    monkeypatch.setattr(workers, "open_shard", None)
    second, ledger = make_further(texts, {texts[0]: (2,)})
    assert ledger["num_made_images"] == 0
    pd.testing.assert_frame_equal(first, second)


def test_spare_images_stay_until_it_is_known_who_wants_them(make_further, texts, monkeypatch):
    wanted, _ = make_further(texts, {texts[0]: (2,), texts[1]: (2, 3)})
    monkeypatch.setattr(workers, "DiffusersGenerator", None)
    spare, _ = make_further(texts, {}, keeps_spare=True)
    pd.testing.assert_frame_equal(spare, wanted)
    pruned, ledger = make_further(texts, {texts[0]: (2,)})
    assert ledger["num_made_images"] == 0
    assert len(pruned) == 13
