"""Every check of speed that needs a GPU, each in a process of its own, in one table.

    python -m benchmarks.gpu --out results.json      # or benchmarks/gpu.sh, which says what a machine needs
    python -m benchmarks.gpu --miniature             # the same code at a size for a CPU

A row is printed as soon as it is measured; a check that fails or runs out of time costs its own rows alone.
Every figure is of random data: weights and images do not change how long arithmetic takes.

    peak        a product of bf16 matrices: what the shares of peak are shares of
    training    StableRep of a ViT-B/16, 258 views a step, as `run_arm` trains, setting by setting; the share
                of peak counts three times the encoder's forward pass
    loss        the multi-positive loss with its gradient: the full matrix as far as it fits, and streamed
    step        a step of the paper's 8,256 views in chunks of 258
    generation  Stable Diffusion 1.5's architecture, 512 px: the authors' recipe, plain diffusers, ours
    training_compiled, step_compiled, generation_compiled
                the same with torch.compile, which takes its time first; at miniature size it traces alone
"""

import argparse
import contextlib
import gc
import json
import math
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

CHECKS = {  # and the seconds after which one is ended
    "peak": 60,
    "training": 100,
    "loss": 70,
    "step": 70,
    "generation": 120,
    "training_compiled": 120,
    "step_compiled": 150,
    "generation_compiled": 240,
}
GUIDANCE = 2.0
AUTHORS_STEPS, AUTHORS_CAPTIONS = 50, 6  # DDIM, and captions a pass
Row = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """How large each check is."""

    matrix: int = 8192
    encoder: str = "vit_base_patch16_224"
    image_px: int = 224
    stored_px: int = 256
    num_stored: int = 1032
    captions: int = 43  # of the paper's 1,376, those of one of 32 GPUs
    images_per_caption: int = 6
    warm_steps: int = 16  # not counted; then a row of the history is due
    steps: int = 16  # counted
    hidden: int = 4096
    out: int = 256
    chunks: int = 32
    loss_full: tuple[int, ...] = (8256, 32768)
    loss_streamed: tuple[int, ...] = (8256, 32768, 131072, 262144)
    tile: int = 4096
    drawn_px: int = 512
    batch: int = 16
    short_steps: int = 20
    miniature: bool = False


MINIATURE = Sizes(
    matrix=64, encoder="vit_tiny_patch16_224", image_px=32, stored_px=40, num_stored=36, captions=3,
    images_per_caption=2, warm_steps=1, steps=2, hidden=16, out=8, chunks=2, loss_full=(48,),
    loss_streamed=(48, 96), tile=32, drawn_px=64, batch=2, short_steps=2, miniature=True,
)  # fmt: skip


def peak(sizes: Sizes, peak_flops: float) -> Iterator[Row]:
    """Measures the device's bf16 products."""
    from benchmarks.flops import peak_flops as measure

    del peak_flops
    measured = measure(_device(), sizes.matrix, 20)
    yield _row(f"bf16 product, {sizes.matrix:,} square", measured / 1e12, "TFLOP/s", peak_flops=measured)


def training(sizes: Sizes, peak_flops: float) -> Iterator[Row]:
    """Trains with each setting of speed."""
    from stablerep.training.settings import SpeedSettings

    plain = SpeedSettings()
    yield from _views(sizes)
    yield from _trained(sizes, peak_flops, "bf16", plain)
    yield from _trained(sizes, peak_flops, "bf16, channels_last", plain.changed(channels_last=True))
    yield from _trained(sizes, peak_flops, "bf16, the host reads each step's loss", plain, looks=True)
    yield from _trained(sizes, peak_flops, "bf16, AdamW not fused", plain, fused=None)
    yield from _trained(
        sizes, peak_flops, "bf16, gradient checkpointing", plain.changed(gradient_checkpointing=True)
    )
    yield from _trained(sizes, peak_flops, "float32, TF32", plain.changed(tf32=True), precision="no")
    short = replace(sizes, warm_steps=min(sizes.warm_steps, 3), steps=min(sizes.steps, 3))
    yield from _trained(short, peak_flops, "float32", plain, precision="no")
    yield from _bare_encoder(sizes, peak_flops)


def training_compiled(sizes: Sizes, peak_flops: float) -> Iterator[Row]:
    """Trains with a compiled encoder."""
    from stablerep.training.settings import SpeedSettings

    speed = SpeedSettings(compile=True, channels_last=True)
    yield from _trained(sizes, peak_flops, "bf16, channels_last, compile", speed)


def step(sizes: Sizes, peak_flops: float) -> Iterator[Row]:
    """Takes steps of the paper's batch on one device."""
    from stablerep.training.settings import SpeedSettings

    yield from _chunked(sizes, peak_flops, SpeedSettings(channels_last=True))


def step_compiled(sizes: Sizes, peak_flops: float) -> Iterator[Row]:
    """Likewise, with a compiled encoder."""
    from stablerep.training.settings import SpeedSettings

    yield from _chunked(sizes, peak_flops, SpeedSettings(compile=True, channels_last=True))


def loss(sizes: Sizes, peak_flops: float) -> Iterator[Row]:
    """Computes the loss and its gradient, of the full matrix and streamed."""
    import torch

    from benchmarks.loss import NUM_MATRICES, free_bytes, run
    from stablerep.training.speed import float32_products

    del peak_flops
    plan = [("authors", num, False) for num in sizes.loss_full]
    plan += [("dense", num, False) for num in sizes.loss_full]
    plan += [("tiled", num, tf32) for num in sizes.loss_streamed for tf32 in (False, True)]
    names = {"authors": "full matrix, the authors' form", "dense": "full matrix", "tiled": "streamed"}
    for form, num, tf32 in plan:
        name = f"{names[form]}, {num:,} rows{', TF32' if tf32 else ''}"
        if form != "tiled" and NUM_MATRICES * 4 * num**2 > free_bytes():
            yield _row(name, math.nan, "s", note="its matrices do not fit")
            continue
        with float32_products(tf32):
            found = run(form, num, sizes.out, sizes.tile, 2 if num < 100_000 else 1, sizes.tile)
        memory = found["peak_mib"] / 1024
        yield _row(name, found["seconds"], "s", gib=memory, note=f"loss {found['loss']:.5f}")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def generation(sizes: Sizes, peak_flops: float) -> Iterator[Row]:
    """Draws with the authors' recipe, with plain diffusers and with this project."""
    import diffusers
    import torch

    from benchmarks.plain_diffusers import PlainDiffusers

    del peak_flops
    with _random_model(sizes) as folder:
        plain = PlainDiffusers(folder, torch.bfloat16, diffusers.DDIMScheduler)
        prompts = [f"a photograph of a dog, number {number}" for number in range(sizes.batch)]
        recipes = (
            ("the authors' recipe: six captions a pass", AUTHORS_CAPTIONS, 2 * AUTHORS_CAPTIONS),
            (f"plain diffusers, batches of {sizes.batch}", sizes.batch, sizes.batch),
        )
        steps = 2 if sizes.miniature else AUTHORS_STEPS
        for name, at_once, num in recipes:
            plain.draw(prompts[:at_once], at_once, sizes.drawn_px, 2, GUIDANCE)
            images, seconds = plain.draw((prompts * 2)[:num], at_once, sizes.drawn_px, steps, GUIDANCE)
            yield _row(f"{name}, DDIM {steps} steps", len(images) / seconds, "images/s", gib=_peak_gib())
        del plain
        ddim = {"_target_": "diffusers.DDIMScheduler"}
        solver = {"_target_": "diffusers.DPMSolverMultistepScheduler"}
        yield _ours(sizes, folder, ddim, steps, compiled=False)
        yield _ours(sizes, folder, ddim, steps, compiled=False, contiguous=True)
        yield _ours(sizes, folder, solver, sizes.short_steps, compiled=False)


def generation_compiled(sizes: Sizes, peak_flops: float) -> Iterator[Row]:
    """Draws with this project and a compiled network."""
    del peak_flops
    with _random_model(sizes) as folder:
        steps = 2 if sizes.miniature else AUTHORS_STEPS
        yield _ours(sizes, folder, {"_target_": "diffusers.DDIMScheduler"}, steps, compiled=True)


@contextlib.contextmanager
def _random_model(sizes: Sizes) -> Iterator[Path]:
    import torch

    from benchmarks.random_stable_diffusion import save_random_stable_diffusion

    with tempfile.TemporaryDirectory() as folder:
        save_random_stable_diffusion(Path(folder), torch.bfloat16, sizes.miniature)
        yield Path(folder)


def _ours(
    sizes: Sizes,
    folder: Path,
    scheduler: dict[str, str],
    steps: int,
    compiled: bool,
    contiguous: bool = False,
) -> Row:
    """Draws two batches and times the second; `contiguous` takes channels_last away from the networks."""
    import torch

    from stablerep.generation.diffusion.generator import DiffusersGenerator, ImageRequest
    from stablerep.generation.diffusion.settings import GeneratorSettings

    settings = GeneratorSettings(
        guidance_scale=GUIDANCE, num_inference_steps=steps, images_per_caption=1, size_px=sizes.drawn_px,
        scheduler=scheduler, batch_size=sizes.batch, dtype="bfloat16", compile=compiled,
    )  # fmt: skip
    generator = DiffusersGenerator(folder, settings)
    if contiguous:
        for network in (generator.pipeline.unet, generator.pipeline.vae):
            network.to(memory_format=torch.contiguous_format)
    requests = [ImageRequest(f"c-{row}", f"a dog, number {row}", 0) for row in range(sizes.batch)]
    started = time.monotonic()
    for _ in generator.draw(requests, 0):  # kernels are chosen, and compiled
        pass
    first = time.monotonic() - started
    started = time.monotonic()
    for _ in generator.draw(requests, 1):
        pass
    rate = len(requests) / (time.monotonic() - started)
    name = f"ours, batches of {sizes.batch}, {scheduler['_target_'].rpartition('.')[2]} {steps} steps"
    note = f"the first batch took {first:.0f} s"
    name += (", compile" if compiled else "") + (", contiguous memory" if contiguous else "")
    return _row(name, rate, "images/s", gib=_peak_gib(), note=note)


def _views(sizes: Sizes) -> Iterator[Row]:
    import torch

    from benchmarks.views import rate_of
    from stablerep.training.settings import AugmentationSettings
    from stablerep.training.views import Augmentation

    num = sizes.captions * sizes.images_per_caption
    shape = (num, 3, sizes.stored_px, sizes.stored_px)
    images = torch.randint(256, shape, dtype=torch.uint8, device=_device())
    augment = Augmentation(AugmentationSettings(), sizes.image_px)
    rate = rate_of(lambda batch: augment(batch.float() / 255), images, sizes.steps)
    yield _row(f"views alone, {num} at a time", rate, "views/s")


def _bare_encoder(sizes: Sizes, peak_flops: float) -> Iterator[Row]:
    """Runs the encoder forward and backward on views that are there: what is left for a loop to lose."""
    import torch

    from benchmarks.flops import flops_of, wait_for

    device = _device()
    encoder = _encoder(sizes).to(device)
    flops = flops_of(encoder, sizes.image_px)
    num = sizes.captions * sizes.images_per_caption
    views = torch.rand(num, 3, sizes.image_px, sizes.image_px, device=device)

    def once() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            features = encoder(views)
        features.float().square().sum().backward()

    for _ in range(sizes.warm_steps):
        once()
    wait_for(device)
    started = time.monotonic()
    for _ in range(sizes.steps):
        once()
    wait_for(device)
    rate = sizes.steps * num / (time.monotonic() - started)
    yield _row(
        "the encoder alone, bf16", rate, "views/s", share=3 * flops * rate / peak_flops, gib=_peak_gib()
    )


def _trained(
    sizes: Sizes,
    peak_flops: float,
    name: str,
    speed: Any,
    precision: str = "bf16",
    looks: bool = False,
    fused: bool | None = True,
) -> Iterator[Row]:
    """Trains for a few steps; yields the rate of those after the first ones, or why there is none."""
    import torch

    from stablerep.training import loop

    real_look, real_adam = loop.looks_every, torch.optim.AdamW

    def adam(*given: Any, **options: Any) -> torch.optim.Optimizer:
        return real_adam(*given, **options | ({"fused": None} if fused is None else {}))

    if looks:
        loop.looks_every = lambda device, settings: 1
    torch.optim.AdamW = adam  # type: ignore[assignment, misc]
    try:
        yield _run(sizes, peak_flops, name, speed, precision)
    except Exception as error:
        yield _failed(name, error)
    finally:
        loop.looks_every = real_look
        torch.optim.AdamW = real_adam  # type: ignore[misc]
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _chunked(sizes: Sizes, peak_flops: float, speed: Any) -> Iterator[Row]:
    chunk = sizes.captions * sizes.images_per_caption
    whole = replace(sizes, captions=sizes.chunks * sizes.captions, warm_steps=1, steps=2)
    views = whole.captions * whole.images_per_caption
    name = f"{views:,} views in chunks of {chunk}, bf16{', compile' if speed.compile else ''}"
    row = _run(whole, peak_flops, name, speed, "bf16", chunk)
    row["note"] += f"; {views / row['value']:.2f} s a step"
    yield row


def _run(
    sizes: Sizes, peak_flops: float, name: str, speed: Any, precision: str, chunk: int | None = None
) -> Row:
    import torch
    from accelerate.state import AcceleratorState

    from benchmarks.flops import flops_of
    from stablerep.image_sets.source import ImageSource
    from stablerep.methods.batch import BatchSettings
    from stablerep.methods.stablerep import StableRep
    from stablerep.models.heads import ProjectionHead
    from stablerep.training.inputs import Arm
    from stablerep.training.loop import run_arm
    from stablerep.training.settings import TrainingSettings
    from stablerep.training.step import Networks

    AcceleratorState._reset_state(reset_partial_state=True)  # it knows one precision a process
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    num = sizes.captions * sizes.images_per_caption
    num_captions = max(sizes.captions, sizes.num_stored // sizes.images_per_caption)
    images = _RepeatedImages(sizes.num_stored, sizes.stored_px, num_captions * sizes.images_per_caption)
    rows = torch.arange(len(images)) // sizes.images_per_caption
    texts = tuple(f"caption {row}" for row in range(num_captions))
    encoder = _encoder(sizes).to(_device())
    flops = flops_of(encoder, sizes.image_px)
    settings = TrainingSettings(
        num_images=(sizes.warm_steps + sizes.steps) * num,
        batch=BatchSettings(
            captions=sizes.captions, images_per_caption=sizes.images_per_caption, chunk=chunk
        ),
        learning_rate=1e-5,
        mixed_precision=precision,  # type: ignore[arg-type]
        log_every=sizes.warm_steps,
        speed=speed,
    )
    # as in the authors' code
    head = ProjectionHead(
        encoder.num_features, sizes.hidden, sizes.out, kind="stablerep", batch_norm="per_view"
    )
    networks = Networks(encoder, head, None)
    method: Any = StableRep(sizes.images_per_caption, 0.1)
    source = ImageSource("random", images, rows, texts)
    history = run_arm(Arm("gpu", method, source, 0), networks, settings, None)
    warm, last = history[0], history[-1]
    seconds = [row["images"] / row["images_per_second"] for row in (warm, last)]
    rate = (last["images"] - warm["images"]) / (seconds[1] - seconds[0])
    waited = (last["waited_s"] - warm["waited_s"]) / (seconds[1] - seconds[0])
    note = f"{waited:.0%} waited for images; the first {sizes.warm_steps} steps took {seconds[0]:.0f} s"
    return _row(name, rate, "views/s", share=3 * flops * rate / peak_flops, gib=_peak_gib(), note=note)


class _RepeatedImages:
    """As many random images as are asked for, a few of which are in memory."""

    def __init__(self, num_stored: int, size_px: int, num: int) -> None:
        import torch

        shape = (num_stored, 3, size_px, size_px)
        self.stored = torch.randint(256, shape, dtype=torch.uint8, device=_device()).cpu()
        self.num = num

    def __len__(self) -> int:
        return self.num

    def read(self, row: int) -> Any:
        return self.stored[row % len(self.stored)]

    def name_of(self, row: int) -> str:
        return f"image {row}"

    def fingerprint(self) -> bytes:
        return b""

    def subset(self, rows: Any) -> Any:
        raise NotImplementedError("no probe is taken here")


def _encoder(sizes: Sizes) -> Any:
    from stablerep.models.encoders import TimmEncoder

    options: dict[str, Any] = {"depth": 1} if sizes.miniature else {}
    return TimmEncoder(sizes.encoder, sizes.image_px, **options)


def _device() -> Any:
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _peak_gib() -> float | None:
    import torch

    return torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else None


def _row(name: str, value: float, unit: str, **more: Any) -> Row:
    return {"name": name, "value": value, "unit": unit, "note": "", **more}


def _failed(name: str, error: Exception) -> Row:
    traceback.print_exception(error)
    first = str(error).strip().partition("\n")[0]
    return _row(name, math.nan, "", note=f"failed: {type(error).__name__}: {first[:150]}")


def run_check(check: str, sizes: Sizes, peak_flops: float) -> None:
    """Runs one check in this process and prints its rows as lines of JSON."""
    if sizes.miniature:
        from torch import nn

        real = nn.Module.compile
        # writing and compiling C++ takes minutes
        nn.Module.compile = lambda self, **_: real(self, backend="eager")  # type: ignore[method-assign]
    try:
        for row in globals()[check](sizes, peak_flops):
            print(json.dumps({"check": check} | row), flush=True)
    except Exception as error:
        print(json.dumps({"check": check} | _failed("the rest of it", error)), flush=True)


def run_checks(given: argparse.Namespace) -> list[Row]:
    """Runs the checks one after another; prints each row as it comes, and writes all so far."""
    rows: list[Row] = []
    peak_flops, started = math.nan, time.monotonic()
    for check in given.only:
        left = given.limit_s - (time.monotonic() - started)
        if left < given.least_s:
            rows.append(_shown({"check": check} | _row("not begun", math.nan, "", note="no time left")))
            continue
        begun = time.monotonic()
        for row in _rows_of(check, given, peak_flops, min(left, CHECKS[check])):
            peak_flops = row.pop("peak_flops", peak_flops)
            rows.append(_shown(row))
            if given.out:
                given.out.write_text(json.dumps({"machine": _machine(), "rows": rows}, indent=1))
        print(f"{check:20}{time.monotonic() - begun:.0f} s, imports included", flush=True)
    return rows


def _rows_of(check: str, given: argparse.Namespace, peak_flops: float, limit_s: float) -> Iterator[Row]:
    command = [sys.executable, "-m", "benchmarks.gpu", "--check", check, "--peak-flops", str(peak_flops)]
    command += ["--miniature"] if given.miniature else []
    # a traceback is long, and the table is to stand together
    log = given.out.with_suffix(".log").open("a") if given.out else contextlib.nullcontext()
    with (
        log as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        ending = threading.Timer(limit_s, process.kill)
        ending.start()
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                yield json.loads(line)
        code = process.wait()
        ending.cancel()
    if code:
        note = f"ended after {limit_s:.0f} s" if code == -signal.SIGKILL else f"ended with exit code {code}"
        yield {"check": check} | _row("the rest of it", math.nan, "", note=note)


def _shown(row: Row) -> Row:
    value = "" if math.isnan(row["value"]) else f"{row['value']:.4g}"
    memory = "" if row.get("gib") is None else f"{row['gib']:.1f} GiB"
    share = "" if math.isnan(row.get("share", math.nan)) else f"{row['share']:.1%}"
    print(
        f"{row['check']:20}{row['name']:62}{value:>9} {row['unit']:9}{share:>7}{memory:>10}  {row['note']}",
        flush=True,
    )
    return row


def _machine() -> dict[str, Any]:
    import platform

    import torch

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return {"device": name, "torch": torch.__version__, "cuda": torch.version.cuda}


def main() -> None:
    """Runs the checks and prints their table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--miniature", action="store_true", help="at a size for a CPU; the rates mean nothing"
    )
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(CHECKS), help="a,b,...")
    parser.add_argument("--out", type=Path, help="a JSON file, written after each row")
    parser.add_argument("--limit-s", type=float, default=285.0, help="seconds of all checks together")
    parser.add_argument("--least-s", type=float, default=20.0, help="left over that a check is begun with")
    parser.add_argument("--check", choices=CHECKS, help=argparse.SUPPRESS)
    parser.add_argument("--peak-flops", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    unknown = set(given.only) - set(CHECKS)
    if unknown:
        parser.error(f"--only: no check {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}")
    if given.check:
        run_check(given.check, MINIATURE if given.miniature else Sizes(), given.peak_flops)
        return
    machine = _machine()
    print(f"{machine['device']}, torch {machine['torch']}")
    print(f"{'check':20}{'what':62}{'figure':>9} {'':9}{'of peak':>7}{'memory':>10}", flush=True)
    run_checks(given)


if __name__ == "__main__":
    main()
