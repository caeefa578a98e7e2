"""Starts the pretraining's processes and waits for them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from stablerep.errors import GeneratorError
from stablerep.generation.pretraining.captioned_pixels import NOTHING_TAKEN_DOWN, TakenDown
from stablerep.generation.pretraining.order import RECIPE_FILE, order_of
from stablerep.generation.pretraining.recipe import PretrainingRecipe

_FREE = ("num_processes", "card", "name")  # of a recipe: the weights do not depend on them


def pretrain_generator(
    recipe: PretrainingRecipe, work: Path, target: Path, taken_down: TakenDown = NOTHING_TAKEN_DOWN
) -> dict[str, float]:
    """Trains a generator, continuing where an earlier call was stopped.

    On a CPU its cores are shared among the processes; one process with all of them is the fastest
    (docs/experiments.md).

    Args:
        recipe: the numbers; a work folder of another recipe is refused.
        work: checkpoints and the encoded pool.
        target: the pipeline's folder; replaced when the new one is whole.
        taken_down: what is not learned from; a work folder that was begun with other takedowns is refused.

    Returns:
        Seconds by part.

    Raises:
        GeneratorError: a process failed, or the work folder belongs to another recipe.
    """
    work.mkdir(parents=True, exist_ok=True)
    begun, asked = work / RECIPE_FILE, order_of(recipe, taken_down)
    if begun.exists() and _without_free(json.loads(begun.read_text())) != _without_free(asked):
        raise GeneratorError(
            f"pretraining: {begun} belongs to another recipe or to other takedowns than this run; "
            "its checkpoints cannot be continued. Move the folder away, or restore the "
            "recipe."
        )
    begun.write_text(json.dumps(asked))
    environment = dict(os.environ)
    if not torch.cuda.is_available():
        threads = max(1, torch.get_num_threads() // recipe.num_processes)
        environment |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(recipe.num_processes)]
    command += ["-m", "stablerep.generation.pretraining.worker"]
    command += [str(work), str(target)]
    finished = subprocess.run(command, env=environment, check=False)  # noqa: S603 -- our own module
    if finished.returncode:
        raise GeneratorError(
            f"pretraining: a process ended with exit code {finished.returncode}; its message is above. "
            "Run the same command again: it continues from the last checkpoint."
        )
    return json.loads((work / "seconds.json").read_text())


def _without_free(order: dict[str, Any]) -> dict[str, Any]:
    """Leaves out what the weights do not depend on."""
    recipe = {key: value for key, value in order.get("recipe", {}).items() if key not in _FREE}
    return order | {"recipe": recipe}
