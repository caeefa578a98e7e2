"""From captions to images that the policy accepts, through the pipeline's nodes, on a miniature."""

from pathlib import Path

import pandas as pd
import pytest

from pipelines.image_sets.generated import apply_policy, generate_images, score_images
from stablerep.alignment.scores import read_scores
from stablerep.attribution.find import find_image
from stablerep.attribution.remake import compare, remake
from stablerep.attribution.takedown import find_affected, remove_images
from stablerep.curation.people.takedowns import COLUMNS
from stablerep.errors import ConfigError, DataError
from stablerep.generation.image_sets import workers
from stablerep.image_sets.generated_set import from_generator
from stablerep.storage.shards import INTACT, image_id_of
from stablerep.validation.schemas import AlignmentScores, ImageManifest, ImageSetImages

SCORER = Path(__file__).parents[3] / "data" / "06_models" / "scorer"
EMBEDDED = {"_target_": "stablerep.alignment.clip_arm.ClipArmScorer", "folder": None, "batch_size": 8}


def scoring(scorer=EMBEDDED, **policy):
    values = {"min_alignment": None, "drop_share": 0.0, "on_reject": "drop", "max_remakes": 0}
    return {"scorer": scorer, "policy": values | policy}


@pytest.fixture
def generation(settings):
    """Returns the section of the configuration, for the miniature."""
    return {
        "model_folder": None,
        "guidance_scale": 2.5,
        "num_inference_steps": 2,
        "images_per_caption": 2,
        "size_px": 16,
        "batch_size": 8,
        "num_shards": 2,
    }


EXECUTION = {"_target_": "stablerep.generation.executors.local.LocalExecutor"}


@pytest.fixture
def store(tmp_path):
    return tmp_path / "images"


@pytest.fixture
def run(tiny_generator, generation, captions_of, texts, store):
    """Returns a function that runs the nodes of an image set up to the gate: manifest, scores, ledger."""
    captions, none = captions_of(texts), pd.DataFrame(columns=list(COLUMNS), dtype="str")

    def run(chosen, scorer_folder=SCORER):
        drawing = {
            "caption_set": captions,
            "takedowns": none,
            "generator_folder": tiny_generator,
            "place": store,
            "image_set": {"source": "generated"},
            "generator": generation,
            "executor": EXECUTION,
            "seeds": [0],
            "alignment": chosen,
            "scorer_folder": scorer_folder,
        }
        drawn, _ = generate_images("synthetic", **drawing)
        scored = score_images(drawn, captions, store, chosen, scorer_folder)
        manifest, ledger = apply_policy("synthetic", drawn, scored, **drawing)
        return manifest, read_scores(store), ledger

    return run


def files_of(store):
    return {path.name: path.read_bytes() for path in store.rglob("*") if path.is_file()}


def stored_images(manifest):
    return manifest[manifest["state"] == INTACT]


def keys_of(table):
    return set(zip(table["caption_id"], table["image_index"], strict=True))


def test_a_policy_that_rejects_nothing_accepts_all_with_their_scores(run):
    manifest, scores, ledger = run(scoring())
    assert ImageManifest.validate(manifest)["alignment"].notna().all()
    assert len(AlignmentScores.validate(scores)) == len(stored_images(manifest)) == 12
    assert ledger["threshold"] is None and ledger["num_scored"] == 12


def test_rejected_images_are_counted_and_are_not_in_the_finished_set(run, captions_of, texts, store):
    _, scores, _ = run(scoring())
    bound = float(scores["alignment"].sort_values().iloc[3])
    manifest, _, ledger = run(scoring(min_alignment=bound))
    assert ledger["num_rejected_misaligned"] == 3 and ledger["num_scored"] == 0
    health = manifest[["caption_id", "image_index"]]
    finished = from_generator("synthetic", manifest, health, captions_of(texts), store, {}, {}, {})
    accepted = ImageSetImages.validate(finished.images)
    assert len(accepted) == 9 and accepted["alignment"].min() >= bound
    rejected = manifest[manifest["state"] == "rejected_misaligned"]
    assert not keys_of(rejected) & keys_of(accepted)
    assert len(finished.manifest) == 12


def test_remade_images_are_scored_and_a_second_run_draws_and_scores_none(run, store, monkeypatch):
    _, scores, _ = run(scoring())
    bound = float(scores["alignment"].median())
    policy = scoring(min_alignment=bound, on_reject="remake", max_remakes=3)
    manifest, scores, ledger = run(policy)
    assert 0 < ledger["num_remade"] == ledger["num_made_images"] == ledger["num_scored"]
    assert len(manifest) == len(scores) == 12 + ledger["num_remade"]
    assert stored_images(manifest)["alignment"].min() >= bound
    assert manifest["image_index"].max() <= 4
    before = files_of(store)
    monkeypatch.setattr(workers, "DiffusersGenerator", None)
    monkeypatch.setattr(workers, "open_shard", None)
    again, scores_again, ledger = run(policy)
    pd.testing.assert_frame_equal(again, manifest)
    pd.testing.assert_frame_equal(scores_again, scores)
    assert ledger["num_made_images"] == ledger["num_scored"] == 0
    assert files_of(store) == before
    monkeypatch.undo()
    # a milder policy needs none of them: they go
    milder, _, _ = run(scoring())
    assert len(milder) == 12


def test_a_remade_image_is_found_with_its_score_made_again_and_taken_down(run, store, tiny_generator):
    _, scores, _ = run(scoring())
    bound = float(scores["alignment"].median())
    manifest, scores, _ = run(scoring(min_alignment=bound, on_reject="remake", max_remakes=2))
    row = scores[scores["image_index"] >= 2].iloc[0]
    found = find_image(image_id_of(row["caption_id"], row["image_index"]), store)
    assert (found.alignment, found.scorer_id) == (row["alignment"], row["scorer_id"])
    again = compare(found.record, found.data, remake(found.record, tiny_generator))
    assert again.max_difference <= 1
    affected = find_affected(store, "caption", row["caption_id"])
    assert remove_images(store, affected) == int((manifest["caption_id"] == row["caption_id"]).sum())
    # the scores hold the captions' texts
    assert row["text"].encode() not in (store / "alignment_scores.parquet").read_bytes()


def test_unscored_images_have_no_alignment(run, store):
    manifest, scores, ledger = run(scoring(scorer=None))
    assert ImageManifest.validate(manifest)["alignment"].isna().all()
    assert len(AlignmentScores.validate(scores)) == 0
    assert ledger["scorer_id"] is None and ledger["mean"] is None and ledger["num_intact"] == 12
    assert not (store / "alignment_scores.parquet").exists()


def test_a_missing_scorer_costs_no_image(run, store, tmp_path):
    with pytest.raises(DataError, match="not a complete scorer"):
        run(scoring(), tmp_path / "none")
    assert not store.exists()


def test_the_embedded_scorer_rejects_no_images_of_another_model(
    run, generation, tiny_generator, store, caplog
):
    generation["model_folder"] = str(tiny_generator)
    with pytest.raises(ConfigError, match="alignment=transformers_clip, or alignment=unscored"):
        run(scoring(min_alignment=0.5))
    assert not store.exists()
    run(scoring())
    assert "the scores mean nothing" in caplog.text
