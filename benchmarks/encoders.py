"""Which small encoder learns most in the same time on a CPU: the residual one, or a timm model.

    python benchmarks/encoders.py --seconds 120

Each encoder is trained with StableRep on scenes that a perfect generator would draw of the shipped captions,
for the same seconds on one thread; its schedule is fitted to the speed that was measured first. Scored on
scenes of validation hands by the linear probe's accuracy on the digit.
"""

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from pipelines.config_loader import compose
from pipelines.evaluation.nodes import rebuild_encoder
from pipelines.training.nodes import image_sources, plan_arm
from stablerep.evaluation.evaluate import validation_accuracy
from stablerep.evaluation.settings import ProbeSettings, SceneSettings
from stablerep.records import caption_id_of
from stablerep.training.arms import train_arm

ROOT = Path(__file__).parents[1]
TIMM = "stablerep.models.encoders.TimmEncoder"
VIT = {"name": "vit_tiny_patch16_224", "patch_size": 4, "embed_dim": 128, "depth": 4, "num_heads": 4}
ENCODERS: dict[str, dict[str, Any]] = {
    "residual_small": {},
    "vit, 64 tokens, pooled": {"_target_": TIMM, "size_px": 32, "global_pool": "avg", **VIT},
    "vit, 64 tokens, flattened": {"_target_": TIMM, "size_px": 32, "flatten": True, **VIT},
    "test_resnet, 4x4, pooled": {"_target_": TIMM, "size_px": 32, "name": "test_resnet", "output_stride": 8},
    "test_resnet, 4x4, flattened": {
        "_target_": TIMM, "size_px": 32, "flatten": True, "name": "test_resnet", "output_stride": 8,
    },
}  # fmt: skip


def measure(
    config: dict[str, Any], seconds: float, seed: int, source: Any, values: dict[str, Any]
) -> dict[str, float]:
    """Trains one encoder for so many seconds and scores it."""
    model = {**values["model"], "encoder": config or values["model"]["encoder"]}
    arm = {"name": "stablerep", "method": "stablerep", "images": "drawn"}
    plan = plan_arm(
        arm, values["methods"], model, values["optimisation"], ROOT / "data/06_models/generator", seed
    )
    batch = plan.optimisation.batch_size

    def train(num_images: int) -> tuple[Any, float]:
        settings = dataclasses.replace(plan.optimisation, num_images=num_images)
        started = time.monotonic()
        trained = train_arm(dataclasses.replace(plan, optimisation=settings), source)
        return trained, time.monotonic() - started

    train(2 * batch)  # warms the allocator
    _, short = train(10 * batch)
    num_images = int(seconds / short * 10) * batch
    trained, spent = train(num_images)
    encoder = rebuild_encoder(trained.encoder_config, trained.weights)
    accuracy = validation_accuracy(
        encoder, SceneSettings(**values["scenes"]), ProbeSettings(**values["probe"]), seed
    )
    return {
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "views": num_images,
        "seconds": round(spent),
        "views_per_s": round(num_images / spent),
        "probe_accuracy": round(100 * accuracy, 1),
    }


def main() -> None:
    """Measures every encoder and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="of training, for each encoder")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", help="encoders whose name holds this")
    given = parser.parse_args()
    torch.set_num_threads(1)
    values = compose(ROOT / "conf/params", {})
    captions = pd.read_csv(ROOT / "data/01_raw/captions.csv")[["caption"]].rename(columns={"caption": "text"})
    captions["caption_id"] = captions["text"].map(caption_id_of)
    for seed in range(given.seeds):
        source = image_sources({"drawn"}, pd.DataFrame(), Path(), captions, 4, seed)["drawn"]
        for name, config in ENCODERS.items():
            if given.only is None or given.only in name:
                print(
                    {"encoder": name, "seed": seed} | measure(config, given.seconds, seed, source, values),
                    flush=True,
                )


if __name__ == "__main__":
    main()
