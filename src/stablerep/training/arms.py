"""The arms of an experiment, each trained in a process of its own.

On a CPU one thread an arm and as many arms as cores: arms that each take every thread would wait for each
other at every operation.
"""

import hashlib
import logging
import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from stablerep.errors import ConfigError, StoppedError, TrainingError
from stablerep.losses.method import Method
from stablerep.models.encoders import build_encoder
from stablerep.models.heads import ProjectionHead
from stablerep.models.text import TextTower
from stablerep.processes import end_with_parent
from stablerep.seeding import seed_everything
from stablerep.training.batches import ImageSource
from stablerep.training.checkpoint import Checkpoint, Row
from stablerep.training.loop import Arm, run_arm
from stablerep.training.settings import HeadSettings, OptimisationSettings, TextSettings
from stablerep.training.step import Networks
from stablerep.training.stop import StopSignal

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedArm:
    """What training an arm gives.

    Attributes:
        name: of the arm.
        method: name of its method.
        images: name of its image source.
        encoder_config: what `models.encoders.build_encoder` takes.
        weights: the encoder's state.
        history: a row every `log_every` steps; columns as in `training.loop.run_arm`.
    """

    name: str
    method: str
    images: str
    encoder_config: dict[str, Any]
    weights: dict[str, Tensor]
    history: pd.DataFrame


@dataclass(frozen=True)
class ArmPlan:
    """What it takes to train an arm; travels to its process.

    Attributes:
        name: of the arm.
        method_name: for the record.
        method: the loss and its batches.
        images: name of the image source.
        encoder_config: what `build_encoder` takes.
        head: sizes.
        text: sizes.
        optimisation: how.
        tokenizer_folder: of a CLIP tokenizer, for methods that use text; may be None for others.
        seed: of weights, order and views.
        num_threads: of torch in the arm's process; 0 leaves torch's choice.
    """

    name: str
    method_name: str
    method: Method
    images: str
    encoder_config: dict[str, Any]
    head: HeadSettings
    text: TextSettings
    optimisation: OptimisationSettings
    tokenizer_folder: str | None
    seed: int
    num_threads: int = 0


def train_arm(plan: ArmPlan, source: ImageSource, work: Path | None = None) -> TrainedArm:
    """Trains one arm in this process, going on from its checkpoint below `work` where there is one."""
    if StopSignal.taken:
        # a pool hands its processes the next arm before anyone can take it back
        raise StoppedError(f"arm {plan.name!r}: stopped by a signal before it began; run the command again.")
    if plan.num_threads:
        torch.set_num_threads(plan.num_threads)
    # all arms start from the same encoder; what they see afterwards differs by method and source
    seed_everything("weights", plan.seed)
    encoder = build_encoder(plan.encoder_config)
    seed_everything("arm", plan.seed, plan.name)
    head = text = tokenize = None
    features = encoder.num_features
    if plan.method.uses_head:
        head = ProjectionHead(features, plan.head.hidden_dim, plan.head.out_dim)
    if plan.method.uses_text:
        tokenizer = _load_tokenizer(plan)
        text = TextTower(
            features,
            len(tokenizer),
            tokenizer.model_max_length,
            tokenizer.eos_token_id,
            plan.text.width,
            plan.text.num_layers,
            plan.text.num_heads,
            plan.text.out_dim,
        )

        def tokenize(texts: list[str]) -> Tensor:
            return tokenizer(
                texts,
                padding="max_length",
                max_length=tokenizer.model_max_length,
                truncation=True,
                return_tensors="pt",
            ).input_ids

    networks = Networks(encoder, head, text)

    def log(row: Row) -> None:
        if row["step"] % (10 * plan.optimisation.log_every) == 0:
            logger.info(
                "%s: %d of %d images, loss %.3f, spread %.2f, %.0f images/s",
                plan.name, row["images"], plan.optimisation.num_images, row["loss"],
                row["embedding_std"], row["images_per_second"],
            )  # fmt: skip

    arm = Arm(plan.name, plan.method, source, plan.seed)
    checkpoint = None
    if work is not None:
        settings = plan.optimisation
        checkpoint = Checkpoint(
            work / plan.name,
            _fingerprint(plan, source),
            settings.checkpoint_every_s,
            settings.num_checkpoints,
        )
    history = run_arm(arm, networks, plan.optimisation, tokenize, log, checkpoint)
    weights = {k: v.detach().clone().contiguous() for k, v in encoder.state_dict().items()}
    return TrainedArm(
        plan.name, plan.method_name, plan.images, plan.encoder_config, weights, pd.DataFrame(history)
    )


def _fingerprint(plan: ArmPlan, source: ImageSource) -> str:
    """Returns a digest of everything that decides an arm's weights on one machine."""
    digest = hashlib.sha256(repr(replace(plan, tokenizer_folder=None)).encode())
    digest.update(repr(source.texts).encode())
    digest.update(source.caption_rows.contiguous().numpy().data)
    digest.update(source.images.fingerprint())
    return digest.hexdigest()


def train_arms(
    plans: list[ArmPlan], sources: dict[str, ImageSource], work: Path | None = None
) -> dict[str, TrainedArm]:
    """Trains arms side by side, as many at a time as `optimisation.num_processes`; on a GPU one at a time.

    Args:
        plans: one an arm.
        sources: by name; each plan's `images` must be among them.
        work: for checkpoints: killed at any moment, the next call with the same plans and images goes on.
            They are removed when every arm is trained. None keeps none.

    Returns:
        The trained arms by name, in the order of the plans.

    Raises:
        ConfigError: a plan names a source that is not there.
    """
    for plan in plans:
        if plan.images not in sources:
            raise ConfigError(
                f"arms.{plan.name}.images: got {plan.images!r}; must be one of {', '.join(sources)}"
            )
    # a GPU takes one arm at a time: several would share its memory and its time
    wanted = 1 if torch.cuda.is_available() else max(plan.optimisation.num_processes for plan in plans)
    workers = min(len(plans), wanted)
    if workers == 1:
        trained = {plan.name: train_arm(plan, sources[plan.images], work) for plan in plans}
    else:
        trained = _train_in_processes(plans, sources, work, workers)
    if work is not None:
        for plan in plans:
            shutil.rmtree(work / plan.name, ignore_errors=True)
    return {plan.name: trained[plan.name] for plan in plans}


def _train_in_processes(
    plans: list[ArmPlan], sources: dict[str, ImageSource], work: Path | None, workers: int
) -> dict[str, TrainedArm]:
    context = multiprocessing.get_context("spawn")
    trained: dict[str, TrainedArm] = {}
    pool = ProcessPoolExecutor(workers, context, _start_worker, (logger.getEffectiveLevel(),))
    try:
        # a scheduler's signal may reach this process alone
        children = multiprocessing.active_children
        with StopSignal(lambda: [each.pid for each in children() if each.pid]) as stop:
            futures = {pool.submit(train_arm, plan, sources[plan.images], work): plan for plan in plans}
            for future in as_completed(futures):
                name = futures[future].name
                try:
                    trained[name] = future.result()
                except BrokenProcessPool as error:
                    if stop.asked:  # it had not begun to listen
                        raise StoppedError(
                            f"arms.{name}: stopped by a signal; run the same command again."
                        ) from error
                    raise TrainingError(
                        f"arms.{name}: its process died, most likely for want of memory. Set a smaller "
                        "optimisation.num_processes and run again."
                    ) from error
                logger.info("%s: trained (%d of %d arms)", name, len(trained), len(plans))
    finally:
        # an arm that waits for its turn does not start when another has failed or was stopped
        pool.shutdown(wait=True, cancel_futures=True)
    return trained


def _start_worker(level: int) -> None:
    logging.basicConfig(level=level, format="%(message)s")
    end_with_parent()
    # tensors travel through files, not through descriptors, whose number is limited
    torch.multiprocessing.set_sharing_strategy("file_system")


def _load_tokenizer(plan: ArmPlan) -> Any:
    from transformers import CLIPTokenizer

    if plan.tokenizer_folder is None:
        raise ConfigError(
            f"arms.{plan.name}: method {plan.method_name!r} uses captions; give model.text.tokenizer_folder"
        )
    return CLIPTokenizer.from_pretrained(plan.tokenizer_folder, local_files_only=True)
