"""How fast images are made: this project against plain diffusers calls and the authors' recipe.

    python -m benchmarks.generation                        # the embedded generator
    python -m benchmarks.generation --model FOLDER --size 512 --captions captions.txt
    python -m benchmarks.generation --random-sd15 --size 512 --steps 20 --captions captions.txt  # for a GPU

Every side draws images of the same captions, each round in a process of its own and the sides in turn, so
that peak memory (of its largest process) is its own and a slow hour of the machine hits all. Our side draws
as the configuration of the embedded generator says, with a scale of its own where guidance is left out of
some steps. Images/s count drawing and encoding, not the start of processes and the loading of the model.
Alignment (the share of named digits that are drawn) and diversity are the attribute judge's and exist for
digit scenes only. The last line is the speed-up over the authors' recipe.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import diffusers
import pandas as pd
import torch
from torch import Tensor

from benchmarks.plain_diffusers import PlainDiffusers
from benchmarks.random_stable_diffusion import save_random_stable_diffusion
from pipelines.config.loader import compose
from stablerep.caption_ids import caption_id_of
from stablerep.digit_scenes.grammar import draw_distinct_captions
from stablerep.digit_scenes.judge import JudgeRecipe, load_judge, match_rates, save_judge, train_judge
from stablerep.generation.diffusion.precision import fastest_dtype
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.generation.executors.local import LocalExecutor
from stablerep.generation.image_sets.image_set import ImageSetRequest, make_image_set
from stablerep.seeding import numpy_generator
from stablerep.storage.shards import read_images

ROOT = Path(__file__).parents[1]
SIDES = {
    "authors": "DDIM, 50 steps, six captions a pass, one image each",
    "plain": "our sampler and steps, one caption a call",
    "plain_batched": "our sampler and steps, batches of captions",
    "ours": "make_image_set",
}


@dataclass(frozen=True)
class Task:
    """What every side draws: `images_per_caption` images of each caption; `our_` is of our side alone."""

    model: str
    captions: list[str]
    images_per_caption: int
    guidance_scale: float
    our_guidance_scale: float
    guidance_from: float
    num_inference_steps: int
    size_px: int
    batch_size: int
    num_processes: int
    dtype: str
    our_dtype: str
    compile: bool
    own_sampler: bool


def draw_plainly(task: Task, prompts_a_call: int, scheduler: type | None, steps: int) -> tuple[Tensor, float]:
    """Draws as a user of diffusers would; returns (N, 3, H, W) uint8 and the seconds."""
    plain = PlainDiffusers(Path(task.model), getattr(torch, task.dtype), scheduler)
    prompts = [text for text in task.captions for _ in range(task.images_per_caption)]
    return plain.draw(prompts, prompts_a_call, task.size_px, steps, task.guidance_scale)


def draw_ours(task: Task) -> tuple[Tensor, float]:
    """Draws an image set, written to shards and read back, in the captions' order."""
    frame = pd.DataFrame({"text": task.captions})
    frame["caption_id"] = frame["text"].map(caption_id_of)
    settings = GeneratorSettings(
        guidance_scale=task.our_guidance_scale,
        guidance_interval=(task.guidance_from, 1.0),
        num_inference_steps=task.num_inference_steps,
        images_per_caption=task.images_per_caption,
        size_px=task.size_px,
        scheduler={} if task.own_sampler else {"_target_": "diffusers.DPMSolverMultistepScheduler"},
        batch_size=task.batch_size,
        dtype=task.our_dtype,  # type: ignore[arg-type]
        compile=task.compile,
    )
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "images"
        executor = LocalExecutor(task.num_processes)
        manifest, _ = make_image_set(
            ImageSetRequest(frame, settings, Path(task.model), store, seed=0, executor=executor)
        )
        # the rate without starting and loading, as the engine remembers it for its forecasts
        rates = json.loads(store.with_name("images.ledger.json").read_text())["rates"]
        images, caption_ids = read_images(store, manifest)
    place = {caption_id: row for row, caption_id in enumerate(frame["caption_id"])}
    order = sorted(range(len(caption_ids)), key=lambda row: place[caption_ids[row]])
    (rate,) = (known["images_per_second"] for known in rates.values())
    return images[order], len(images) / rate


def draw(side: str, task: Task) -> tuple[Tensor, float]:
    """Draws with one side."""
    solver = None if task.own_sampler else diffusers.DPMSolverMultistepScheduler
    if side == "authors":
        return draw_plainly(task, 6, diffusers.DDIMScheduler, 50)
    if side == "plain":
        return draw_plainly(task, 1, solver, task.num_inference_steps)
    if side == "plain_batched":
        return draw_plainly(task, task.batch_size, solver, task.num_inference_steps)
    return draw_ours(task)


def measure_side(side: str, task: Task, judge: str | None) -> dict[str, float]:
    """Draws and measures one side; meant for a process of its own."""
    images, seconds = draw(side, task)
    memory = max(
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    figures = {"images_per_s": len(images) / seconds, "peak_mib": memory / 1024}
    if torch.cuda.is_available():
        figures["peak_gpu_mib"] = torch.cuda.max_memory_allocated() / 2**20
    if judge is not None:
        texts = [text for text in task.captions for _ in range(task.images_per_caption)]
        rates = match_rates(load_judge(Path(judge)), images.float() / 255, texts)
        figures |= {"alignment": rates["digit"], "diversity": rates["diversity"]}
    return figures


def main() -> None:
    """Runs every side and prints a table and the speed-up."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    embedded = compose(ROOT / "conf" / "params", {})["generator"]
    parser.add_argument("--model", help="its folder; the embedded generator without it")
    parser.add_argument("--captions", type=Path, help="a text file, one a line; digit scenes without it")
    parser.add_argument("--num-captions", type=int, default=128)
    parser.add_argument("--images-per-caption", type=int, default=4)
    parser.add_argument("--guidance-scale", type=float, default=2.5, help="of the other sides, in all steps")
    parser.add_argument("--our-guidance-scale", type=float, help="the embedded generator's own, or theirs")
    parser.add_argument("--guidance-from", type=float, help="share of our side's steps without")
    parser.add_argument("--steps", type=int, default=embedded["num_inference_steps"], help="of DPM-Solver++")
    parser.add_argument("--size", type=int, default=32, help="pixels")
    parser.add_argument("--batch-size", type=int, default=embedded["batch_size"])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--dtype", default="float32", help="of the other sides")
    parser.add_argument("--our-dtype", default=fastest_dtype(), help="without it what `auto` is here")
    parser.add_argument(
        "--own-sampler",
        action="store_true",
        help="the model's instead of DPM-Solver++, as distilled ones need",
    )
    parser.add_argument("--compile", action="store_true", help="our side's network")
    parser.add_argument("--random-sd15", action="store_true", help="Stable Diffusion 1.5 of random weights")
    parser.add_argument("--judge", type=Path, help="where to keep the judge; trained there if it is missing")
    parser.add_argument("--rounds", type=int, default=3, help="of all sides in turn")
    parser.add_argument("--slow-share", type=float, default=0.25, help="of the captions, for the slow sides")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    own = given.model is None and not given.random_sd15  # another model's guidance is nobody's to tune here
    if given.our_guidance_scale is None:
        given.our_guidance_scale = embedded["guidance_scale"] if own else given.guidance_scale
    if given.guidance_from is None:
        given.guidance_from = embedded["guidance_interval"][0] if own else 0.0
    given.model = given.model or str(ROOT / "data/06_models/generator")
    captions = (
        given.captions.read_text().splitlines()[: given.num_captions]
        if given.captions
        else draw_distinct_captions(given.num_captions, numpy_generator("benchmark", 0))
    )
    if given.side:
        if given.side in ("authors", "plain"):
            captions = captions[: max(6, round(len(captions) * given.slow_share))]
        task = Task(
            given.model, captions, given.images_per_caption, given.guidance_scale,
            given.our_guidance_scale, given.guidance_from, given.steps, given.size,
            given.batch_size, given.processes, given.dtype, given.our_dtype, given.compile, given.own_sampler,
        )  # fmt: skip
        print(json.dumps(measure_side(given.side, task, str(given.judge) if given.judge else None)))
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(given, Path(folder))


def compare(given: argparse.Namespace, folder: Path) -> None:
    """Runs all sides in turn, round by round, and prints a table and the speed-up."""
    arguments = sys.argv[1:]
    if given.random_sd15:
        save_random_stable_diffusion(folder / "model", getattr(torch, given.dtype))
        arguments += ["--model", str(folder / "model")]
    elif given.captions is None:
        judge = given.judge or folder / "judge.safetensors"
        if not judge.exists():
            save_judge(train_judge(JudgeRecipe()), judge)
        arguments += ["--judge", str(judge)]
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(given.rounds):
        for side in SIDES:
            command = [sys.executable, "-m", "benchmarks.generation", *arguments, "--side", side]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found[side].append(json.loads(done.stdout.splitlines()[-1]))
    device = (
        torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} threads"
    )
    print(
        f"{platform.platform()}, {device}, torch {torch.__version__}, {given.rounds} rounds; "
        f"{given.dtype}, ours {given.our_dtype}"
    )
    speed = {}
    for side, rounds in found.items():
        rates = sorted(each["images_per_s"] for each in rounds)
        speed[side] = statistics.median(rates)
        rest = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
        rest.pop("images_per_s")
        figures = ", ".join(f"{name} {value:.3g}" for name, value in rest.items())
        spread = f"{rates[0]:.3g} to {rates[-1]:.3g}"
        print(f"{side:14} {speed[side]:8.3g} images/s ({spread}), {figures}   ({SIDES[side]})")
    print(f"speed-up over the batched plain call = {speed['ours'] / speed['plain_batched']:.2f}")
    print(f"generation speed-up over the authors' recipe = {speed['ours'] / speed['authors']:.1f}")


if __name__ == "__main__":
    main()
