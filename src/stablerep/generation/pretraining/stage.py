"""The training loop of both networks: data-parallel under accelerate, resumable to the step."""

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
    """Returns the learning rate of a step: linear warm-up, then constant, then half a cosine to zero."""
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
    """Trains a network, continuing from the last checkpoint if there is one.

    Every random draw is a function of (step, process), so that a resumed run sees what an
    uninterrupted one sees.

    Args:
        name: of the stage, for the file and the log.
        model: trained in place.
        recipe: steps, batches and learning rate.
        loss_of_step: the loss of one process's part of one step.
        folder: of the checkpoint.

    Returns:
        The seconds of training over all runs. The network holds its final weights, the moving average if the
        recipe keeps one.

    Raises:
        DataError: the disk refuses a checkpoint.
    """
    stage = _Stage(name, model, recipe, folder / f"{name}.safetensors")
    while stage.step < recipe.num_steps:
        stage.take_step(loss_of_step)
        stage.log()
        stage.keep()
    if stage.average:
        model.load_state_dict(stage.average)
    stage.accelerator.wait_for_everyone()
    return stage.spent_s()


class _Stage:
    """The state of a stage between its steps, restored from its checkpoint if there is one."""

    def __init__(self, name: str, model: nn.Module, recipe: StageRecipe, path: Path) -> None:
        self.name, self.model, self.recipe, self.path = name, model, recipe, path
        self.accelerator = Accelerator(cpu=not torch.cuda.is_available())
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.98)
        )
        model.to(self.accelerator.device)
        # the moving average of the weights; empty if the recipe keeps none
        self.average = (
            {k: v.detach().clone() for k, v in model.state_dict().items()} if recipe.ema_decay else {}
        )
        self.step, self.earlier_s = 0, 0.0
        if path.exists():
            facts = load_checkpoint(path, model, self.optimizer, self.average)
            self.step, self.earlier_s = facts["step"], facts["seconds"]
            logger.info("%s: continues from step %d of %d", name, self.step, recipe.num_steps)
        self.trained = self.accelerator.prepare_model(model)
        if recipe.compile_network:
            self.trained = torch.compile(self.trained)
        self.first_step, self.running_loss = self.step, 0.0
        self.started = self.last_saved = time.monotonic()

    def spent_s(self) -> float:
        """Returns the seconds of training so far, over all runs."""
        return self.earlier_s + time.monotonic() - self.started

    def take_step(self, loss_of_step: LossOfStep) -> None:
        """Moves the weights and their average."""
        recipe, accelerator = self.recipe, self.accelerator
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(recipe, self.step)
        share = recipe.batch_size // accelerator.num_processes
        loss = loss_of_step(self.trained, self.step, share, accelerator.process_index)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(self.parameters, recipe.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        _update_average(self.average, self.model, min(recipe.ema_decay, (1 + self.step) / (10 + self.step)))
        self.running_loss += (float(loss.detach()) - self.running_loss) / min(
            100, self.step - self.first_step
        )

    def log(self) -> None:
        """Logs every hundredth step."""
        if self.step % 100 == 0 and self.accelerator.is_main_process:
            elapsed = time.monotonic() - self.started
            rate = (self.step - self.first_step) * self.recipe.batch_size / elapsed
            logger.info(
                "%s: step %d/%d, loss %.4f, %.0f images/s",
                self.name, self.step, self.recipe.num_steps, self.running_loss, rate,
            )  # fmt: skip

    def keep(self) -> None:
        """Writes a checkpoint if one is due."""
        now = time.monotonic()
        due = now - self.last_saved > self.recipe.checkpoint_every_s or self.step == self.recipe.num_steps
        if self.accelerator.is_main_process and due:
            facts = {"step": self.step, "seconds": self.spent_s(), "loss": self.running_loss}
            save_checkpoint(self.path, self.model, self.optimizer, facts, self.average)
            self.last_saved = now


@torch.no_grad()
def _update_average(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    if not average:
        return
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)
