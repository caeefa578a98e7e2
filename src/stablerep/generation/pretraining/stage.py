"""The training loop of both networks: data-parallel under accelerate, resumable to the step."""

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from stablerep.generation.pretraining.recipe import StageRecipe
from stablerep.storage.checkpoints import load_checkpoint, save_checkpoint

logger = logging.getLogger(__name__)

# (model, step, number of images for this process, process index) -> loss
LossOfStep = Callable[[nn.Module, int, int, int], Tensor]


def training_device() -> torch.device:
    """Returns where this process trains: its GPU, or the CPU where there is none."""
    return Accelerator(cpu=not torch.cuda.is_available()).device


def learning_rate_at(recipe: StageRecipe, step: int, progress: float) -> float:
    """Returns the learning rate of a step: linear warm-up, then constant, then half a cosine to zero.

    Args:
        recipe: of the stage.
        step: from 0.
        progress: share of the stage that is done, in [0, 1].
    """
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    if progress < recipe.decay_from:
        return recipe.learning_rate
    fallen = (progress - recipe.decay_from) / max(1e-9, 1 - recipe.decay_from)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, fallen)))


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
    while (progress := stage.progress()) < 1:
        stage.take_step(loss_of_step, progress)
        if stage.step % 100 == 0:
            stage.log()
        stage.keep()
    stage.log()
    stage.keep(last=True)
    if stage.average:
        model.load_state_dict(stage.average)
    model.to(memory_format=torch.contiguous_format)
    stage.accelerator.wait_for_everyone()
    return stage.spent_s()


class _Stage:
    """The state of a stage between its steps, restored from its checkpoint if there is one."""

    def __init__(self, name: str, model: nn.Module, recipe: StageRecipe, path: Path) -> None:
        self.name, self.model, self.recipe, self.path = name, model, recipe, path
        self.accelerator = Accelerator(cpu=not torch.cuda.is_available())
        self.device = self.accelerator.device
        on_gpu = self.device.type == "cuda"
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        # of images the layout that convolutions work on
        model.to(self.device).to(memory_format=torch.channels_last)
        # every step has the same shapes: the fastest kernels are looked for once
        torch.backends.cudnn.benchmark = on_gpu
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            betas=(0.9, 0.98),
            fused=on_gpu,
        )
        # the moving average of the weights; empty if the recipe keeps none
        self.average = (
            {k: v.detach().clone() for k, v in model.state_dict().items()} if recipe.ema_decay else {}
        )
        self.step, self.earlier_s, self.saved_step = 0, 0.0, -1
        if path.exists():
            facts = load_checkpoint(path, model, self.optimizer, self.average)
            self.step, self.earlier_s = facts["step"], facts["seconds"]
            self.saved_step = self.step
            logger.info("%s: continues from step %d of %d", name, self.step, recipe.num_steps)
        self.trained = self.accelerator.prepare_model(model)
        if recipe.compile_network:
            self.trained = torch.compile(self.trained)
        self.first_step = self.step
        self.running_loss = torch.zeros((), device=self.device)
        self.started = self.last_saved = time.monotonic()

    def spent_s(self) -> float:
        """Returns the seconds of training so far, over all runs."""
        return self.earlier_s + time.monotonic() - self.started

    def progress(self) -> float:
        """Returns the share of the stage that is done, by steps or by time, whichever is further."""
        by_steps = self.step / self.recipe.num_steps
        if self.recipe.max_seconds is None:
            return by_steps
        spent = self.spent_s()
        if self.accelerator.num_processes > 1:  # every process must stop after the same step
            spent = float(broadcast(torch.tensor(spent, device=self.device)))
        return max(by_steps, spent / self.recipe.max_seconds)

    def take_step(self, loss_of_step: LossOfStep, progress: float) -> None:
        """Moves the weights and their average; waits for nothing on the GPU."""
        recipe, accelerator = self.recipe, self.accelerator
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(recipe, self.step, progress)
        share = recipe.batch_size // accelerator.num_processes
        half = recipe.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            loss = loss_of_step(self.trained, self.step, share, accelerator.process_index)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(self.parameters, recipe.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        _update_average(self.average, self.model, min(recipe.ema_decay, (1 + self.step) / (10 + self.step)))
        self.running_loss += (loss.detach() - self.running_loss) / min(100, self.step - self.first_step)

    def log(self) -> None:
        """Logs how far it is."""
        if self.accelerator.is_main_process:
            spent = self.spent_s()
            rate = (self.step - self.first_step) * self.recipe.batch_size / max(1e-9, spent - self.earlier_s)
            logger.info(
                "%s: step %d of %d at most, %.0f s, loss %.4f, %.0f images/s",
                self.name, self.step, self.recipe.num_steps, spent, float(self.running_loss), rate,
            )  # fmt: skip

    def keep(self, last: bool = False) -> None:
        """Writes a checkpoint if one is due; the last one is, unless it was just written."""
        now = time.monotonic()
        due = last or now - self.last_saved > self.recipe.checkpoint_every_s
        if self.accelerator.is_main_process and due and self.saved_step != self.step:
            facts = {"step": self.step, "seconds": self.spent_s(), "loss": float(self.running_loss)}
            save_checkpoint(self.path, self.model, self.optimizer, facts, self.average)
            self.last_saved, self.saved_step = now, self.step


@torch.no_grad()
def _update_average(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    if not average:
        return
    state = model.state_dict()
    moved = [name for name, value in state.items() if value.is_floating_point()]
    # all at once: one tensor after the other takes longer on a GPU than its step
    get_ema_multi_avg_fn(decay)([average[name] for name in moved], [state[name] for name in moved], 0)
    for name in state.keys() - moved:
        average[name].copy_(state[name])
