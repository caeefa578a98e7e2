"""A report's content from small made-up tables, for the tests of its parts: of a corpus of animals."""

import numpy as np
import pandas as pd
import polars as pl
import torch

from stablerep.alignment.policy import reject
from stablerep.alignment.remake import summarise
from stablerep.evaluation.labelled_set import LabelledSet
from stablerep.reporting.alignment import AlignmentSection, make_section, pick_extremes
from stablerep.reporting.content import EvaluationSetFacts, ImageSetFacts, ReportContent
from stablerep.reporting.gallery import GalleryEntry, make_gallery
from stablerep.reporting.guidance import GuidanceStudy
from stablerep.reporting.learned_space import LearnedSpace, show_space
from stablerep.reporting.record import RunRecord
from stablerep.storage.pixels import ImagesInMemory

# arm -> (method, images, accuracy of the linear probe, accuracy of nearest neighbours)
ARMS = {
    "stablerep": ("stablerep", "synthetic", 0.86, 0.80),
    "stablerep_plus": ("stablerep_plus", "synthetic", 0.88, 0.84),
    "simclr_synthetic": ("simclr", "synthetic", 0.69, 0.39),
    "clip_real": ("clip", "real", 0.82, 0.77),
    "clip_half": ("clip", "half", 0.84, 0.79),
    "stablerep_rendered": ("stablerep", "rendered", 0.90, 0.84),
    "untrained": ("none", "none", 0.35, 0.17),
    "raw_pixels": ("none", "none", 0.46, 0.22),
}
# evaluation set -> tasks
SETS = {"zoo": ("species", "colour"), "farm": ("species",)}
NUM_UNITS = 60
TEXTS = ["a cow", "a brown horse in front of a striped barn", "a <b>spotted</b> cat"]


def make_tables(
    seeds: tuple[int, ...] = (0,), arms: dict[str, tuple[str, str, float, float]] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns metrics and unit scores of every arm, seed and task."""
    rng = np.random.default_rng(0)
    hard = rng.random(NUM_UNITS)
    rows, scores = [], []
    for arm, (method, images, probe, knn) in (arms or ARMS).items():
        for seed in seeds if images != "none" else seeds[:1]:
            for set_name, task in [(name, task) for name, tasks in SETS.items() for task in tasks]:
                for evaluation, level in (("linear_probe", probe), ("knn", knn)):
                    luck = 0.2 * rng.random((NUM_UNITS, 4)) + 0.8 * hard[:, None]
                    shift = 0.02 * rng.standard_normal() if len(seeds) > 1 else 0.0
                    score = (luck < level + shift).mean(axis=1)
                    spread = 1.96 * score.std() / NUM_UNITS**0.5
                    key = {"arm": arm, "seed": seed, "set": set_name, "task": task, "evaluation": evaluation}
                    rows.append(
                        key
                        | {"method": method, "images": images, "metric": "accuracy", "value": score.mean()}
                        | {"low": score.mean() - spread, "high": min(1.0, score.mean() + spread)}
                        | {"num_units": NUM_UNITS, "num_images": 4 * NUM_UNITS, "validation": level}
                        | {"chosen": "{}"}
                    )
                    units = [f"u-{number}" for number in range(NUM_UNITS)]
                    scores.append(
                        pd.DataFrame({"unit": units, "score": score}).assign(**key, metric="accuracy")
                    )
    return pd.DataFrame(rows), pd.concat(scores, ignore_index=True)


def make_history(shift: float = 0.0) -> pd.DataFrame:
    """Returns a history that falls."""
    images = np.arange(1, 21) * 3200
    loss = 2 + shift + 3 / np.arange(1, 21)
    return pd.DataFrame({"images": images, "loss": loss, "embedding_std": 0.9 - 0.1 / np.arange(1, 21)})


def make_captions(texts: list[str]) -> pd.DataFrame:
    """Returns the table of captions."""
    return pd.DataFrame(
        {
            "caption_id": [f"c-{number:016x}" for number in range(len(texts))],
            "text": texts,
            "source": "grammar",
            "licence": "CC0-1.0",
            "line": range(2, len(texts) + 2),
        }
    )


def make_images(number: int, seed: int) -> torch.Tensor:
    """Returns images of coloured blocks, (number, 3, 32, 32) uint8."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randint(0, 256, (number, 3, 4, 4), generator=generator, dtype=torch.uint8)
    return blocks.repeat_interleave(8, 2).repeat_interleave(8, 3)


def gallery_of(texts: list[str], per_caption: int, seed: int) -> list[GalleryEntry]:
    """Returns a gallery of made-up images."""
    ids = [f"c-{number}" for number in range(len(texts)) for _ in range(per_caption)]
    named = {f"c-{number}": text for number, text in enumerate(texts)}
    return make_gallery(make_images(len(ids), seed), ids, named)


def make_manifest(num_captions: int = 10) -> pd.DataFrame:
    """Returns two images per caption: caption n has the scores n / 10 and n / 10 + 0.05."""
    rows = [
        {"caption_id": f"c-{n:016x}", "image_index": i, "state": "intact", "alignment": n / 10 + 0.05 * i}
        for n in range(num_captions)
        for i in range(2)
    ]
    rows[-1] |= {"state": "rejected_unsafe", "alignment": np.nan}
    return pd.DataFrame(rows)


def make_alignment(num: int = 3) -> AlignmentSection:
    """Returns the section on alignment of ten captions, three images of which are rejected."""
    manifest = reject(make_manifest(), 0.12)
    ledger = summarise(manifest, 2, 0.12) | {"scorer_id": "a-0123456789abcdef"}
    texts = {caption_id: f"<i>text</i> {n}" for n, caption_id in enumerate(manifest["caption_id"].unique())}
    picked = pick_extremes(manifest, num)
    return make_section(manifest, ledger, texts, [(rows, make_images(len(rows), 1)) for rows in picked])


def make_image_sets() -> dict[str, ImageSetFacts]:
    """Returns image sets of every source."""
    rule = {"name": "text_not_empty", "success": True, "observed": 0, "unexpected": []}
    broken = {"name": "enough_rows", "success": False, "observed": None, "unexpected": []}
    generation = {"num_made_images": 4096, "images_per_second": 93.217, "price": None}
    real = ["a photo of a dog", ""]
    return {
        "synthetic": ImageSetFacts(
            "generated",
            4096,
            1024,
            {"generation": generation, "gate": {"success": False, "rules": [rule, broken]}},
            gallery_of(TEXTS, 4, 0),
            settings={"source": "generated", "guidance_scale": 2.0},
        ),
        "real": ImageSetFacts(
            "corpus", 900, 1, {"num_taken_down": 3}, gallery_of(real, 1, 1), settings={"source": "corpus"}
        ),
        "rendered": ImageSetFacts("rendered", 4096, 1024, {}, gallery_of(TEXTS, 4, 2)),
        "half": ImageSetFacts(
            "mixture",
            1800,
            451,
            {"num_images_of": {"real": 900, "synthetic": 900}, "of": {"real": {"num_taken_down": 3}}},
            settings={"source": "mixture", "of": {"real": 0.5, "synthetic": 0.5}},
        ),
    }


def make_content(seeds: tuple[int, ...] = (0,)) -> ReportContent:
    """Returns a whole content."""
    metrics, unit_scores = make_tables(seeds)
    rejected = make_captions(["", "word " * 60, "a", "b"]).assign(
        filter=["Empty", "Length", "Length", "Length"],
        reason=["empty", "too_many_words", "too_few_words", "too_few_words"],
    )
    rule = {"name": "text_not_empty", "success": True, "observed": 0, "unexpected": []}
    trained = {arm: facts for arm, facts in ARMS.items() if facts[1] != "none"}
    splits = {"train": 2000, "validation": 200, "test": 240}
    return ReportContent(
        experiment_name="animals",
        seeds=seeds,
        metrics=metrics,
        unit_scores=unit_scores,
        num_bootstrap=200,
        image_sets=make_image_sets(),
        evaluation_sets={
            "zoo": EvaluationSetFacts(
                splits, {"species": 10, "colour": 4}, ("train",), 610, 2, {"train/test": 1}
            ),
            "farm": EvaluationSetFacts(splits, {"species": 5}, tuple(splits), 2440, 0),
        },
        arms={
            name: {
                "method": method,
                "images": images,
                "training": {"temperature": 0.2} if "plus" in name else {},
            }
            for name, (method, images, _, _) in trained.items()
        },
        histories={(arm, seed): make_history(0.1 * seed) for arm in trained for seed in seeds},
        num_curated_captions=3,
        rejected_captions=pl.from_pandas(rejected).lazy(),
        caption_gate={"success": True, "rules": [rule]},
        stage_seconds={"generate_images": 44.2, "train_arm": 312.7},
        machine={"processor": "made up", "torch": "2.15.0"},
        configuration={"seeds": list(seeds), "reporting": {"num_bootstrap": 200}},
    )


CLASSES = ("cow", "horse", "cat")


def make_labelled(num_train: int = 60, num_test: int = 30) -> LabelledSet:
    """Returns a set of animals, the classes in turn."""
    number = num_train + 3 + num_test
    table = pd.DataFrame(
        {
            "key": [f"k-{row:03d}" for row in range(number)],
            "split": ["train"] * num_train + ["validation"] * 3 + ["test"] * num_test,
            "unit": [f"u-{row:03d}" for row in range(number)],
            "digest": "d",
            "label.species": np.arange(number, dtype=np.int64) % 3,
        }
    )
    return LabelledSet("zoo", {"species": CLASSES}, {"species": ("a {}",)}, table)


def features_by_class(labelled: LabelledSet, noise: float = 0.1) -> dict[str, np.ndarray]:
    """Returns features of each split that lie around a direction for each class."""
    rng = np.random.default_rng(0)
    found = {}
    for split in ("train", "test"):
        labels = labelled.table["label.species"].to_numpy()[labelled.rows(split)]
        found[split] = np.eye(8)[labels] + noise * rng.standard_normal((len(labels), 8))
    return found


def make_learned() -> LearnedSpace:
    """Returns neighbours and map of an encoder that knows the classes, beside one that does not."""
    labelled = make_labelled()
    known, noise = features_by_class(labelled), features_by_class(labelled, 100.0)
    pixels = ImagesInMemory(make_images(len(labelled.table), 3))
    features = {"stablerep": known.__getitem__, "untrained": noise.__getitem__}
    return show_space(features, labelled, pixels, "species", 0)


def make_study() -> GuidanceStudy:
    """Returns what a study of three scales found."""
    points = [
        {
            "guidance_scale": scale,
            "num_inference_steps": 10,
            "accuracy": {"value": value, "low": value - 0.05, "high": value + 0.05},
        }
        for scale, value in ((1.0, 0.6), (3.0, 0.8), (8.0, 0.7))
    ]
    recommendation = {
        "sentences": ["guidance scale 3.0 (2.1 to 4.4); no evidence against 2.5"],
        "current": 2.5,
        "guidance_scale": {"10": {"value": 3.0, "low": 2.1, "high": 4.4}},
        "points": points,
    }
    return GuidanceStudy(recommendation, 6, 2, 200)


def make_record(seeds: tuple[int, ...] = (0,)) -> RunRecord:
    """Returns the record of a run on the image set `synthetic`."""
    metrics, unit_scores = make_tables(seeds)
    images = pd.DataFrame(
        [
            {"set": "synthetic", "caption_id": f"c-{number}", "text": text, "picture": picture}
            for number, text in enumerate(TEXTS)
            for picture in gallery_of([text], 2, number)[0].pictures
        ]
    )
    return RunRecord(
        "animals",
        list(seeds),
        "StableRep+ reaches 95 %",
        ["One seed."],
        {"seeds": list(seeds), "generator": {"guidance_scale": 2.0}, "reporting": {"num_bootstrap": 200}},
        {"synthetic": {"source": "generated", "num_images": 4096, "guidance_scale": None}},
        {"train_arm": 312.7},
        metrics,
        unit_scores,
        images,
    )
