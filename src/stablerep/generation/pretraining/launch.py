"""Starts the pretraining's processes and waits for them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from stablerep.errors import GeneratorError
from stablerep.generation.pretraining.recipe import PretrainingRecipe


def pretrain_generator(recipe: PretrainingRecipe, work: Path, target: Path) -> dict[str, float]:
    """Trains the embedded generator, continuing where an earlier call was stopped.

    On a CPU its cores are shared among the processes; one process with all of them is the fastest
    (docs/experiments.md).

    Args:
        recipe: the numbers; a work folder of another recipe is refused.
        work: checkpoints and the encoded pool.
        target: the pipeline's folder; replaced when the new one is whole.

    Returns:
        Seconds by part.

    Raises:
        GeneratorError: a process failed, or the work folder belongs to another recipe.
    """
    work.mkdir(parents=True, exist_ok=True)
    recipe_path = work / "recipe.json"
    wanted = recipe.model_dump(exclude={"num_processes", "card"})  # of which the weights do not depend
    if recipe_path.exists() and json.loads(recipe_path.read_text()) != wanted:
        raise GeneratorError(
            f"pretraining: {recipe_path} holds another recipe than the one asked for; checkpoints of one "
            "cannot be continued with another. Move the folder away, or restore the recipe."
        )
    recipe_path.write_text(json.dumps(wanted))
    environment = dict(os.environ)
    if not torch.cuda.is_available():
        threads = max(1, torch.get_num_threads() // recipe.num_processes)
        environment |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(recipe.num_processes)]
    command += ["-m", "stablerep.generation.pretraining.worker"]
    command += [str(recipe_path), str(work), str(target)]
    finished = subprocess.run(command, env=environment, check=False)  # noqa: S603 -- our own module
    if finished.returncode:
        raise GeneratorError(
            f"pretraining: a process ended with exit code {finished.returncode}; its message is above. "
            "Run the same command again: it continues from the last checkpoint."
        )
    return json.loads((work / "seconds.json").read_text())
