"""Views a second of a StableRep training: this project against a plain PyTorch loop over image files.

    python -m benchmarks.training                    # the embedded encoder, on the CPU
    python -m benchmarks.training --encoder vit_base_patch16_224 --size 224 --batch-size 516 --bf16
    ... --batch-size 8256 --chunk 258 --steps 1 --rounds 1      # a step of the paper's batch

Both sides train the same encoder and head with the same loss on the same scenes, 32 px as the corpus has
them, brought to --size by the views. Ours reads them from the shards; the plain loop reads PNG files in its
workers, which also draw torchvision's views. Sides take turns, each round in a process of its own. With
--peak-tflops, the rate in bf16 that the maker of a GPU gives, ours also tells its share of it. The last line
is the ratio.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from benchmarks.flops import flops_of
from pipelines.config.loader import compose
from stablerep.caption_ids import caption_id_of
from stablerep.digit_scenes.grammar import draw_distinct_captions
from stablerep.digit_scenes.scenes import draw_scenes_of_captions
from stablerep.image_sets.source import ImageSource
from stablerep.image_sets.stored_images import StoredImages
from stablerep.methods.batch import BatchSettings
from stablerep.methods.multi_positive import multi_positive_loss
from stablerep.methods.stablerep import StableRep
from stablerep.models.encoder import Encoder
from stablerep.models.encoders import build_encoder
from stablerep.models.heads import ProjectionHead
from stablerep.seeding import numpy_generator
from stablerep.storage.pixels import ImagesInMemory
from stablerep.storage.shards import SHARDS_FOLDER, digest_of, encode_image, member_name, write_shard
from stablerep.training.batches import GroupedSampler
from stablerep.training.inputs import Arm
from stablerep.training.loop import run_arm
from stablerep.training.settings import AugmentationSettings, TrainingSettings
from stablerep.training.step import Networks
from stablerep.training.views import blur_kernel_px

ROOT = Path(__file__).parents[1]
PER_CAPTION = 4
TEMPERATURE = 0.1
VIEWS = AugmentationSettings(min_crop=0.6, blur_probability=0.3, blur_sigma=(0.1, 0.75), flip_probability=0.0)
TIMM = "stablerep.models.encoders.TimmEncoder"
_SHARD = "00000.tar"


def write_images(folder: Path, num_captions: int) -> None:
    """Writes the scenes of captions as a shard with a manifest, and as PNG files."""
    texts = draw_distinct_captions(num_captions, numpy_generator("benchmark", 0))
    scenes = draw_scenes_of_captions(texts, PER_CAPTION, "fit", "benchmark", 0)
    images = (scenes.images * 255).round().to(torch.uint8).unflatten(0, (num_captions, PER_CAPTION))
    (folder / "files").mkdir()
    samples, rows = [], []
    for row, (text, of_caption) in enumerate(zip(texts, images, strict=True)):
        caption_id = caption_id_of(text)
        data = {index: encode_image(image) for index, image in enumerate(of_caption)}
        samples.append(({"caption_id": caption_id}, data))
        for index, each in data.items():
            (folder / "files" / f"{PER_CAPTION * row + index}.png").write_bytes(each)
            facts = {"shard": _SHARD, "member": member_name(caption_id, index), "digest": digest_of(each)}
            rows.append(facts | {"caption_row": row})
    write_shard(folder / SHARDS_FOLDER / _SHARD, samples)
    pd.DataFrame(rows).to_parquet(folder / "manifest.parquet")


def make_encoder(name: str, size: int) -> Encoder:
    """Builds the configured encoder or one of timm as it is."""
    torch.manual_seed(0)
    if name == "configured":
        return build_encoder(compose(ROOT / "conf/params", {})["encoder"]["backbone"] | {"size_px": size})
    return build_encoder({"_target_": TIMM, "name": name, "size_px": size})


def train_ours(given: argparse.Namespace) -> dict[str, float]:
    """Trains with this project's loop."""
    manifest = pd.read_parquet(given.folder / "manifest.parquet")
    rows = torch.from_numpy(manifest["caption_row"].to_numpy(copy=True))
    texts = tuple(str(row) for row in range(int(rows.max()) + 1))
    source = ImageSource("synthetic", StoredImages(given.folder, manifest, 256), rows, texts)
    encoder = make_encoder(given.encoder, given.size)
    flops = flops_of(encoder, given.size)
    networks = Networks(encoder, ProjectionHead(encoder.num_features, 512, 128), None)
    settings = TrainingSettings(
        num_images=given.steps * given.batch_size,
        batch=BatchSettings(
            captions=given.batch_size // PER_CAPTION, images_per_caption=PER_CAPTION, chunk=given.chunk
        ),
        mixed_precision="bf16" if given.bf16 else "no",
        log_every=given.steps,
        num_workers=given.workers if torch.cuda.is_available() else 0,
        num_probe_captions=0,
        augmentation=VIEWS,
    )
    method: Any = StableRep(PER_CAPTION, TEMPERATURE)
    arm = Arm("ours", method, source, 0)
    row = run_arm(arm, networks, settings, None)[-1]
    figures = {"views_per_s": row["images_per_second"], "waited_share": row["waited_share"]}
    if given.peak_tflops:
        # three times the forward pass, as usual; what a chunked step computes again is not counted
        figures["share_of_peak"] = 3 * flops * row["images_per_second"] / (given.peak_tflops * 1e12)
    return figures


class PlainBatches(Dataset[Tensor]):
    """A batch at a time from image files, with torchvision's views, as a worker makes it."""

    def __init__(self, folder: Path, batches: list[list[int]], size: int) -> None:
        """Takes the rows of the files of each batch."""
        self.folder, self.batches = folder, batches
        self.transform = v2.Compose(
            [
                v2.RandomResizedCrop(size, scale=(VIEWS.min_crop, 1.0), antialias=True),
                v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], VIEWS.jitter_probability),
                v2.RandomGrayscale(VIEWS.grey_probability),
                v2.RandomApply(
                    [v2.GaussianBlur(blur_kernel_px(VIEWS.blur_sigma[1], size), VIEWS.blur_sigma)],
                    VIEWS.blur_probability,
                ),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
            ]
        )

    def __len__(self) -> int:
        """Returns how many batches there are."""
        return len(self.batches)

    def __getitem__(self, number: int) -> Tensor:
        """Reads and augments a batch, (N, 3, size, size)."""
        files = (self.folder / f"{row}.png" for row in self.batches[number])
        return torch.stack([self.transform(Image.open(file).convert("RGB")) for file in files])


def train_plainly(given: argparse.Namespace) -> dict[str, float]:
    """Trains as a user of PyTorch would."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    num = len(list((given.folder / "files").iterdir()))
    rows = torch.arange(num) // PER_CAPTION
    empty = torch.zeros(num, 3, 1, 1, dtype=torch.uint8)
    texts = tuple(str(row) for row in range(num // PER_CAPTION))
    source = ImageSource("synthetic", ImagesInMemory(empty), rows, texts)
    sampler = GroupedSampler(source, given.batch_size, PER_CAPTION, 0).batches()
    batches = [next(sampler).image_rows.tolist() for _ in range(given.steps)]
    encoder = make_encoder(given.encoder, given.size)
    head = ProjectionHead(encoder.num_features, 512, 128)
    networks: Any = nn.ModuleList([encoder, head]).to(device).train()
    optimizer = torch.optim.AdamW(networks.parameters(), lr=1e-3)
    loader = DataLoader(
        PlainBatches(given.folder / "files", batches, given.size), batch_size=None, num_workers=given.workers
    )
    labels = (torch.arange(given.batch_size) // PER_CAPTION).to(device)
    slices = (torch.arange(given.batch_size) % PER_CAPTION).to(device)
    iterator = iter(loader)
    started, waited = time.monotonic(), 0.0
    for _ in range(given.steps):
        asked = time.monotonic()
        images = next(iterator).to(device)
        waited += time.monotonic() - asked
        with torch.autocast(device.type, torch.bfloat16, enabled=given.bf16):
            z = head(encoder(images).flatten(1), slices, PER_CAPTION)
        loss = multi_positive_loss(z.float(), labels, TEMPERATURE, None)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        float(loss.detach())
    seconds = time.monotonic() - started
    return {"views_per_s": given.steps * given.batch_size / seconds, "waited_share": waited / seconds}


def main() -> None:
    """Runs both sides in turn and prints their figures and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", default="configured", help="or a model of timm")
    parser.add_argument("--size", type=int, default=32, help="pixels")
    parser.add_argument("--batch-size", type=int, default=128, help="views")
    parser.add_argument("--chunk", type=int, help="of our side; the plain loop has none")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2, help="of the plain loop, and of ours on a GPU")
    parser.add_argument("--num-captions", type=int, default=512)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--peak-tflops", type=float, help="of the GPU, in bf16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=("ours", "plain"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.batch_size % PER_CAPTION:
        parser.error(
            f"--batch-size: got {given.batch_size}; must be a multiple of {PER_CAPTION}, "
            "the images of a caption"
        )
    if given.side:
        print(json.dumps(train_ours(given) if given.side == "ours" else train_plainly(given)))
        return
    found: dict[str, list[dict[str, float]]] = {"ours": [], "plain": []}
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), given.num_captions)
        for _ in range(given.rounds):
            for side, figures in found.items():
                command = [
                    sys.executable,
                    "-m",
                    "benchmarks.training",
                    *sys.argv[1:],
                    "--side",
                    side,
                    "--folder",
                    folder,
                ]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                figures.append(json.loads(done.stdout.splitlines()[-1]))
    speed = {}
    for side, figures in found.items():
        rates = sorted(each["views_per_s"] for each in figures)
        speed[side] = statistics.median(rates)
        rest = {name: statistics.median(each[name] for each in figures) for name in figures[0]}
        told = ", ".join(f"{name} {value:.3g}" for name, value in rest.items())
        print(f"{side:6} {told} (views/s {rates[0]:.3g} to {rates[-1]:.3g})")
    print(f"training speed-up over the plain loop = {speed['ours'] / speed['plain']:.2f}")


if __name__ == "__main__":
    main()
