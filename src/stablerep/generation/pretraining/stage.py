"""The loop that both networks share: data-parallel under accelerate, resumable to the step."""

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from stablerep.generation.pretraining.recipe import StageRecipe
from stablerep.storage.checkpoints import load_checkpoint, save_checkpoint

logger = logging.getLogger(__name__)

# (model, step, number of images for this process, process index) -> loss
LossOfStep = Callable[[nn.Module, int, int, int], Tensor]


def learning_rate_at(recipe: StageRecipe, step: int) -> float:
    """Returns the rate of a step: linear warm-up, then flat, then half a cosine to zero."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    start = recipe.decay_from * recipe.num_steps
    if step < start:
        return recipe.learning_rate
    progress = (step - start) / max(1.0, recipe.num_steps - start)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def run_stage(
    name: str, model: nn.Module, recipe: StageRecipe, loss_of_step: LossOfStep, folder: Path
) -> float:
    """Trains a network, going on from the last checkpoint where there is one.

    Every random draw is a function of (step, process), so that a resumed run sees what an
    uninterrupted one sees.

    Args:
        name: of the stage, for the file and the log.
        model: trained in place.
        recipe: the numbers.
        loss_of_step: the loss of one process's part of one step.
        folder: where the checkpoint lies.

    Returns:
        The seconds of training over all sittings. The network holds its final weights, the moving average
        where the recipe keeps one.
    """
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    share = recipe.batch_size // accelerator.num_processes
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.98)
    )
    model.to(accelerator.device)
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    if not recipe.ema_decay:
        average = {}
    path = folder / f"{name}.safetensors"
    step, seconds = 0, 0.0
    if path.exists():
        facts = load_checkpoint(path, model, optimizer, average)
        step, seconds = facts["step"], facts["seconds"]
        logger.info("%s: goes on from step %d of %d", name, step, recipe.num_steps)
    trained = accelerator.prepare_model(model)
    if recipe.compile_network:
        trained = torch.compile(trained)
    started = last_saved = time.monotonic()
    running = 0.0
    first_step = step
    while step < recipe.num_steps:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(recipe, step)
        loss = loss_of_step(trained, step, share, accelerator.process_index)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(parameters, recipe.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        _update_average(average, model, min(recipe.ema_decay, (1 + step) / (10 + step)))
        running += (float(loss.detach()) - running) / min(100, step - first_step)
        now = time.monotonic()
        if step % 100 == 0 and accelerator.is_main_process:
            rate = (step - first_step) * recipe.batch_size / (now - started)
            logger.info(
                "%s: step %d/%d, loss %.4f, %.0f images/s",
                name, step, recipe.num_steps, running, rate,
            )  # fmt: skip
        due = now - last_saved > recipe.checkpoint_every_s
        if accelerator.is_main_process and (due or step == recipe.num_steps):
            spent = seconds + now - started
            facts = {"step": step, "seconds": spent, "loss": running}
            save_checkpoint(path, model, optimizer, facts, average)
            last_saved = now
    if average:
        model.load_state_dict(average)
    accelerator.wait_for_everyone()
    return seconds + time.monotonic() - started


@torch.no_grad()
def _update_average(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    if not average:
        return
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)
