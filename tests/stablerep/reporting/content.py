"""A report's content from small made-up tables, for the tests of its parts."""

import numpy as np
import pandas as pd
import polars as pl

from stablerep.digit_scenes.scenes import draw_scenes_of_captions
from stablerep.evaluation.bootstrap import interval_over_hands
from stablerep.reporting.gallery import make_gallery
from stablerep.reporting.report import ReportContent

# arm -> (method, images, linear probe, knn)
ARMS = {
    "stablerep": ("stablerep", "synthetic", 0.86, 0.80),
    "stablerep_plus": ("stablerep_plus", "synthetic", 0.88, 0.84),
    "simclr_synthetic": ("simclr", "synthetic", 0.69, 0.39),
    "clip_synthetic": ("clip", "synthetic", 0.87, 0.81),
    "simclr_real": ("simclr", "real", 0.73, 0.45),
    "clip_real": ("clip", "real", 0.82, 0.77),
    "stablerep_drawn": ("stablerep", "drawn", 0.90, 0.84),
    "untrained": ("none", "none", 0.35, 0.17),
    "raw_pixels": ("none", "none", 0.46, 0.22),
}
NUM_HANDS = 60
TEXTS = ["a nine", "a teal seven on a striped orange background", "a <b>crimson</b> two"]


def make_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns metrics and hand scores of every arm, for digit and ink."""
    rng = np.random.default_rng(0)
    hard = rng.random(NUM_HANDS)
    rows, scores = [], []
    for arm, (method, images, probe, knn) in ARMS.items():
        for attribute in ("digit", "ink"):
            for metric, level in (("linear_probe", probe), ("knn", knn)):
                luck = 0.2 * rng.random((NUM_HANDS, 4)) + 0.8 * hard[:, None]
                per_hand = pd.Series((luck < level).mean(axis=1), index=range(NUM_HANDS))
                found = interval_over_hands(per_hand, 200, 0)
                key = {"arm": arm, "attribute": attribute, "metric": metric}
                rows.append(
                    key
                    | {"method": method, "images": images, "value": found.value}
                    | {"low": found.low, "high": found.high, "num_hands": NUM_HANDS}
                    | {"validation": level, "probe_c": 0.1 if metric == "linear_probe" else np.nan}
                )
                table = per_hand.rename_axis("hand_id").rename("accuracy").reset_index()
                scores.append(table.assign(**key))
    return pd.DataFrame(rows), pd.concat(scores, ignore_index=True)


def make_history() -> pd.DataFrame:
    """Returns a history that falls."""
    images = np.arange(1, 21) * 3200
    return pd.DataFrame(
        {"images": images, "loss": 2 + 3 / np.arange(1, 21), "embedding_std": 0.9 - 0.1 / np.arange(1, 21)}
    )


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


def make_content() -> ReportContent:
    """Returns a whole content."""
    metrics, hand_scores = make_tables()
    curated = make_captions(TEXTS)
    rejected = make_captions(["", "word " * 60, "a", "b"]).assign(
        filter=["Empty", "Length", "Length", "Length"],
        reason=["empty", "too_many_words", "too_few_words", "too_few_words"],
    )
    scenes = draw_scenes_of_captions(TEXTS, 4, "fit", 0)
    caption_ids = [caption_id for caption_id in curated["caption_id"] for _ in range(4)]
    texts = dict(zip(curated["caption_id"], curated["text"], strict=True))
    rule = {"name": "text_not_empty", "success": True, "observed": 0, "unexpected": []}
    broken = {"name": "enough_rows", "success": False, "observed": None, "unexpected": []}
    trained = [arm for arm, facts in ARMS.items() if facts[1] != "none"]
    return ReportContent(
        experiment_name="digit_scenes",
        seed=0,
        metrics=metrics,
        hand_scores=hand_scores,
        histories={arm: make_history() for arm in trained},
        num_bootstrap=200,
        num_accepted_images=4096,
        gallery=make_gallery((scenes.images * 255).byte(), caption_ids, texts),
        num_curated_captions=len(curated),
        rejected_captions=pl.from_pandas(rejected).lazy(),
        gates={
            "captions": {"success": True, "rules": [rule]},
            "images": {"success": False, "rules": [rule, broken]},
        },
        generation_ledger={
            "num_captions": 1024,
            "num_made_images": 4096,
            "images_per_second": 93.217,
            "price": None,
        },
        stage_seconds={"generate_images": 44.2, "train_arms": 312.7},
        machine={"processor": "made up", "torch": "2.15.0"},
        configuration={"seed": 0, "probe": {"num_bootstrap": 200}},
    )
