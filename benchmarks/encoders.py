"""Which small encoder learns most in the same CPU time: the configured one, or another.

    OMP_NUM_THREADS=1 python -m benchmarks.encoders                          # every encoder, one seed
    OMP_NUM_THREADS=1 python -m benchmarks.encoders --only resnet --seeds 3  # some of them, more seeds

Each encoder is trained with StableRep on "drawn" images, scenes that a perfect generator would make of the
shipped captions (4 of each, fit hands), for the same seconds of CPU time. That is what the process used:
another one on the same core does not shorten a run, though the two share its caches. The speed is measured
first, and the cosine is fitted to the views that it allows. Encoders are scored on scenes of validation
hands; held-out hands are never drawn. Everything but the encoder is as in conf/params/: the learning rate
was chosen with `residual`, so try others for the rest (--learning-rate). The last line is the lead of
the configured encoder over the best of the others.
"""

import argparse
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipelines.config.loader import compose
from pipelines.evaluation.nodes import rebuild_encoder
from pipelines.training.nodes import draw_images, plan_arm
from stablerep.caption_ids import caption_id_of
from stablerep.digit_scenes.scenes import NUM_CLASSES
from stablerep.evaluation.evaluate import draw_probe_scenes, validation_accuracy
from stablerep.evaluation.features import extract_features
from stablerep.evaluation.knn import find_neighbours
from stablerep.evaluation.settings import ProbeSettings, SceneSettings
from stablerep.image_sets.source import ImageSource
from stablerep.reporting.environment import describe_machine
from stablerep.training.arms import ArmPlan, TrainedArm, train_arm

ROOT = Path(__file__).parents[1]
OURS = "configured"


def _timm(name: str, **options: Any) -> dict[str, Any]:
    return {"_target_": "stablerep.models.encoders.TimmEncoder", "size_px": 32, "name": name, **options}


# A stride of 8 leaves a 4x4 map of 32 px, as the configured one does; timm's 32 would leave one pixel.
_VIT: dict[str, Any] = {
    "name": "vit_tiny_patch16_224",
    "patch_size": 4,
    "embed_dim": 128,
    "depth": 4,
    "num_heads": 4,
}
ENCODERS: dict[str, dict[str, Any] | None] = {
    OURS: None,
    "residual": {"_target_": "stablerep.models.residual.ResidualEncoder", "size_px": 32},  # the judge's kind
    "test_resnet, 4x4 pooled": _timm("test_resnet", output_stride=8),
    "test_resnet, 4x4 flattened": _timm("test_resnet", output_stride=8, flatten=True),
    "test_convnext, 4x4 pooled": _timm("test_convnext", output_stride=8),
    "test_convnext, 4x4 flattened": _timm("test_convnext", output_stride=8, flatten=True),
    "vit 128x4, 64 tokens pooled": _timm(**_VIT, global_pool="avg"),
    "vit 128x4, 64 tokens flattened": _timm(**_VIT, flatten=True),
}


def train_for(seconds: float, plan: ArmPlan, source: ImageSource) -> tuple[TrainedArm, dict[str, float]]:
    """Trains for so many seconds of CPU time; returns the arm and what it took."""
    batch_size = plan.optimisation.batch.num_views

    def train(num_steps: int) -> tuple[TrainedArm, float]:
        settings = plan.optimisation.changed(num_images=num_steps * batch_size)
        started = time.process_time()
        trained = train_arm(dataclasses.replace(plan, optimisation=settings), source)
        return trained, time.process_time() - started

    train(2)  # warms up
    # the difference of two runs is free of what every run starts with
    seconds_a_step = (train(18)[1] - train(2)[1]) / 16
    num_steps = max(1, round(seconds / seconds_a_step))
    trained, spent = train(num_steps)
    views = num_steps * batch_size
    return trained, {"views_per_s": views / spent, "views": views, "seconds": spent}


def score(trained: TrainedArm, scenes: SceneSettings, probe: ProbeSettings, seed: int) -> dict[str, float]:
    """Returns the size of an encoder and its digit accuracies on validation hands, in percent."""
    encoder = rebuild_encoder(trained.encoder_config, trained.weights)
    parts = draw_probe_scenes(scenes, seed)
    train_features, features = (extract_features(encoder, part.images) for part in parts)
    train_digits, digits = (part.labels["digit"].numpy() for part in parts)
    neighbours = find_neighbours(train_features, features, probe.num_neighbours)
    votes = neighbours.vote(train_digits, NUM_CLASSES["digit"])
    return {
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "features": features.shape[1],
        "probe": 100 * validation_accuracy(encoder, scenes, probe, seed),
        "knn": 100 * float(np.mean(votes == digits)),
    }


def measure(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yields a row an encoder and seed; every encoder has its turn before the next seed."""
    values = compose(ROOT / "conf/params", {})
    values["optimisation"]["learning_rate"] = given.learning_rate or values["optimisation"]["learning_rate"]
    scenes = SceneSettings(**values["scenes"])
    probe = ProbeSettings(**values["probe"] | {"attributes": ["digit"]})
    texts = pd.read_csv(ROOT / "data/01_raw/captions.csv")["caption"]
    captions = pd.DataFrame({"caption_id": texts.map(caption_id_of), "text": texts})
    arm = {"name": "stablerep", "method": "stablerep", "images": "drawn"}
    for seed in range(given.seeds):
        source = draw_images(captions, values["generation"], seed)
        for name, encoder in ENCODERS.items():
            if given.only is None or any(part in name for part in given.only):
                model = {**values["model"], "encoder": encoder or values["model"]["encoder"]}
                plan = plan_arm(
                    arm, values["batch"], values["methods"], model, values["optimisation"], Path(), seed
                )
                plan = dataclasses.replace(plan, num_threads=given.threads)
                trained, spent = train_for(given.seconds, plan, source)
                yield {"encoder": name, "seed": seed} | spent | score(trained, scenes, probe, seed)


def main() -> None:
    """Measures every encoder and prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=150, help="CPU time of training, each encoder")
    parser.add_argument("--seeds", type=int, default=1, help="of weights, order, views and scenes")
    parser.add_argument("--threads", type=int, default=1, help="of torch; seconds are summed over them")
    parser.add_argument("--learning-rate", type=float, help="instead of the configured one")
    parser.add_argument("--only", nargs="+", metavar="PART", help="encoders whose name holds one of these")
    given = parser.parse_args()
    if torch.cuda.is_available():
        parser.error("CPU time is measured: hide the GPU with CUDA_VISIBLE_DEVICES=")
    torch.set_num_threads(given.threads)
    rows = []
    for row in measure(given):
        rows.append(row)
        shown = ", ".join(
            f"{key} {value:,.1f}" for key, value in row.items() if key not in ("encoder", "seed")
        )
        print(f"{row['encoder']}, seed {row['seed']}: {shown}", flush=True)
    if not rows:
        parser.error(f"--only: got {given.only}; must be parts of: {'; '.join(ENCODERS)}")
    by_encoder = pd.DataFrame(rows).drop(columns="seed").groupby("encoder", sort=False)
    table = by_encoder.median()
    table["spread"] = by_encoder["probe"].max() - by_encoder["probe"].min()
    machine = describe_machine()
    print(
        f"\n{machine['processor']}, {given.threads} thread(s); medians of {given.seeds} seed(s), %, digit\n"
    )
    print(table.round(1).to_string())
    others = table["probe"].drop(OURS, errors="ignore")
    if OURS in table.index and len(others):
        print(f"\n{OURS} over the best of the others, points = {table['probe'][OURS] - others.max():.1f}")


if __name__ == "__main__":
    main()
