"""Which small encoder learns most in the same CPU time: the configured one, or another.

    OMP_NUM_THREADS=1 python -m benchmarks.encoders                          # every encoder, one seed
    OMP_NUM_THREADS=1 python -m benchmarks.encoders --only resnet --seeds 3  # some of them, more seeds

Each encoder is trained with StableRep on images that the corpus renders of the shipped captions, as a perfect
generator would, for the same seconds of CPU time. That is what the process used: another one on the same core
does not shorten a run, though the two share its caches. The speed is measured first, and the cosine is fitted
to the views that it allows. Encoders are scored on the validation images of the first evaluation set, for its
first task; the test split is never opened. Everything but the encoder is as in conf/params/: the learning
rate was chosen with `residual`, so try others for the rest (--learning-rate). The last line is the lead of
the configured encoder over the best of the others.
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from pipelines.config.arm_plan import plan_arm
from pipelines.config.corpus import build_corpus, build_evaluation_set, index_of
from pipelines.config.evaluation import build_evaluations, open_evaluation_set
from pipelines.config.loader import compose
from stablerep.evaluation.evaluation import choose_all
from stablerep.evaluation.feature_store import FeatureStore
from stablerep.evaluation.features import encoder_subject
from stablerep.evaluation.labelled_set import LabelledSet
from stablerep.image_sets.source import ImageSource
from stablerep.models.encoders import build_encoder
from stablerep.reporting.environment import describe_machine
from stablerep.storage.pixels import ImagesInMemory, Pixels
from stablerep.training.arms import ArmPlan, TrainedArm, train_arm
from stablerep.training.settings import TrainingSettings

ROOT = Path(__file__).parents[1]
OURS = "configured"
METHOD = "stablerep"
HEADLINE = "linear_probe"


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
    """Trains for that many seconds of CPU time; returns the arm and what it took."""
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


def render(values: dict[str, Any], seed: int) -> ImageSource:
    """Returns the images that the configured corpus renders of the shipped captions, several of each."""
    texts = tuple(pd.read_csv(ROOT / "data/01_raw/captions.csv")["caption"])
    per_caption = values["generator"]["images_per_caption"]
    rendered = build_corpus(values["corpus"]).render(texts, per_caption, "rendered", seed)
    rows = torch.arange(len(texts)).repeat_interleave(per_caption)
    return ImageSource("rendered", ImagesInMemory(rendered.pixels), rows, texts)


def open_first_evaluation_set(values: dict[str, Any]) -> tuple[LabelledSet, Pixels]:
    """Returns the first evaluation set of the experiment with its images."""
    name, entry = next(iter(values["evaluation_sets"].items()))
    table = index_of(build_evaluation_set(name, entry), f"evaluation_sets.{name}", None)
    return open_evaluation_set(name, entry, table)


def score(
    trained: TrainedArm, evaluation: dict[str, Any], labelled: LabelledSet, pixels: Pixels
) -> dict[str, float]:
    """Returns the size of an encoder and its accuracies on validation images, in percent."""
    encoder = build_encoder(trained.encoder_config)
    encoder.load_state_dict(trained.weights)
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(Path(folder))
        subject = encoder_subject(trained.name, encoder, trained.encoder_config, labelled, pixels, store)
        choices = choose_all(subject, build_evaluations(evaluation))
    accuracies = {name: next(iter(by_task.values())).validation for name, by_task in choices.items()}
    return {
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "features": encoder.num_features,
        **{name: 100 * accuracy for name, accuracy in accuracies.items()},
    }


def measure(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yields one row per encoder and seed; every encoder has its turn before the next seed."""
    values = compose(ROOT / "conf/params", {})
    training = TrainingSettings.read(values["training"])
    training = training.changed(learning_rate=given.learning_rate or training.learning_rate)
    arm = {"method": METHOD, "images": "rendered"}
    labelled, pixels = open_first_evaluation_set(values)
    for seed in range(given.seeds):
        source = render(values, seed)
        for name, backbone in ENCODERS.items():
            if given.only is None or any(part in name for part in given.only):
                section = values["encoder"] | ({} if backbone is None else {"backbone": backbone})
                plan = plan_arm(METHOD, arm, values["method"][METHOD], section, training, seed, ROOT)
                plan = dataclasses.replace(plan, num_threads=given.threads)
                trained, spent = train_for(given.seconds, plan, source)
                scores = score(trained, values["evaluation"], labelled, pixels)
                yield {"encoder": name, "seed": seed} | spent | scores


def main() -> None:
    """Measures every encoder and prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=150, help="CPU time of training, each encoder")
    parser.add_argument("--seeds", type=int, default=1, help="of weights, order, views and images")
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
    table["spread"] = by_encoder[HEADLINE].max() - by_encoder[HEADLINE].min()
    machine = describe_machine()
    print(f"\n{machine['processor']}, {given.threads} thread(s); medians of {given.seeds} seed(s), %\n")
    print(table.round(1).to_string())
    others = table[HEADLINE].drop(OURS, errors="ignore")
    if OURS in table.index and len(others):
        print(f"\n{OURS} over the best of the others, points = {table[HEADLINE][OURS] - others.max():.1f}")


if __name__ == "__main__":
    main()
