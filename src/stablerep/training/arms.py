"""An arm of an experiment, from its plan to its encoder.

Arms are trained one after another, each with every core or the GPU: on two cores this is a tenth slower than
two at a time with one thread each (docs/experiments.md), but each arm can run alone.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from stablerep.errors import ConfigError
from stablerep.image_sets.source import ImageSource
from stablerep.methods.method import Method
from stablerep.models.card import CardFacts
from stablerep.models.encoders import build_encoder
from stablerep.models.heads import ProjectionHead
from stablerep.models.settings import HeadSettings, TextSettings
from stablerep.models.text import TrainedText, build_text_tower, tokenize
from stablerep.models.tokenizer import build_tokenizer, tokenizer_files
from stablerep.seeding import seed_everything
from stablerep.training.checkpoint import Checkpoint, Row
from stablerep.training.loop import Arm, run_arm
from stablerep.training.probe import hold_out
from stablerep.training.schedule import Schedule
from stablerep.training.settings import TrainingSettings
from stablerep.training.step import Networks
from stablerep.training.stop import StopSignal

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedArm:
    """The result of training an arm.

    Attributes:
        name: of the arm.
        method: name of its method.
        images: name of its image set.
        seed: of weights, order and views.
        encoder_config: the argument of `models.encoders.build_encoder`.
        weights: the encoder's state.
        history: one row every `log_every` steps; columns as in `training.loop.run_arm`.
        text: the text tower; None for methods without text.
        data: where its images come from, of `stablerep.image_sets.origin.origin_of`; empty for arms that were
            saved before it was recorded.
    """

    name: str
    method: str
    images: str
    seed: int
    encoder_config: dict[str, Any]
    weights: dict[str, Tensor]
    history: pd.DataFrame
    text: TrainedText | None = None
    data: dict[str, Any] = field(default_factory=dict)


def card_facts_of(arm: TrainedArm, metrics: Sequence[Mapping[str, Any]] = ()) -> CardFacts:
    """Returns what the model card of an arm's encoder says.

    Args:
        arm: trained.
        metrics: rows of the table `metrics` of this encoder.
    """
    rows = arm.history.tail(1).dropna(axis="columns").to_dict("records")
    last = {str(name): value for row in rows for name, value in row.items()}
    return CardFacts(arm.name, arm.method, arm.seed, arm.encoder_config, arm.data, last, metrics)


@dataclass(frozen=True)
class ArmPlan:
    """Everything needed to train an arm, except its images.

    Attributes:
        name: of the arm.
        method_name: for the result.
        method: the loss and its batches.
        images: name of the image source.
        encoder_config: the argument of `build_encoder`.
        head: sizes.
        text: sizes.
        optimisation: steps, batches, learning rate and checkpoints.
        tokenizer_folder: of a CLIP tokenizer, for methods that use text; None learns one from the captions.
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
    optimisation: TrainingSettings
    tokenizer_folder: str | None
    seed: int
    num_threads: int = 0


def train_arm(
    plan: ArmPlan,
    source: ImageSource,
    work: Path | None = None,
    on_row: Callable[[Row], None] | None = None,
    stop: StopSignal | None = None,
) -> TrainedArm:
    """Trains an arm, continuing from its checkpoint below `work` if there is one.

    Args:
        plan: of the arm.
        source: its images.
        work: checkpoints are written to a folder of the arm's name in it; the last one stays, for the caller
            to remove when the encoder is stored. None keeps none.
        on_row: called with each row of the history as it is made, not with those of a checkpoint.
        stop: one per run, shared by its arms; None lets a signal stop this arm alone.

    Raises:
        StoppedError: a signal asked the run to stop.
        TrainingError: the loss is not finite.
        DataError: the source cannot fill a batch, or the disk refuses a checkpoint.
    """
    stop = stop or StopSignal()
    stop.check_not_asked(plan.name)
    if plan.num_threads:
        torch.set_num_threads(plan.num_threads)
    networks, tokenizer = _build_networks(plan, source.texts)
    encode_texts = None if tokenizer is None else partial(tokenize, tokenizer)
    arm = Arm(plan.name, plan.method, *_split(plan, source))
    checkpoint = None if work is None else _checkpoint_of(plan, source, work / plan.name)
    schedule = Schedule.of(plan.optimisation, arm.source.num_captions)
    on_row = _logged(plan, schedule.num_steps * plan.optimisation.batch.num_views, on_row)
    history = run_arm(arm, networks, plan.optimisation, encode_texts, on_row, checkpoint, stop)
    return TrainedArm(
        plan.name,
        plan.method_name,
        plan.images,
        plan.seed,
        plan.encoder_config,
        _state_of(networks.encoder),
        pd.DataFrame(history),
        _trained_text(plan, networks, tokenizer),
        dict(source.origin),
    )


def _state_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone().contiguous() for name, value in network.state_dict().items()}


def _trained_text(plan: ArmPlan, networks: Networks, tokenizer: Any) -> TrainedText | None:
    tower = networks.projector.text
    if tower is None:
        return None
    return TrainedText(_text_sizes(plan.text), _state_of(tower), tokenizer_files(tokenizer))


def _text_sizes(text: TextSettings) -> dict[str, int]:
    return {
        "width": text.width,
        "num_layers": text.num_layers,
        "num_heads": text.num_heads,
        "out": text.out_dim,
    }


def _build_networks(plan: ArmPlan, texts: Sequence[str]) -> tuple[Networks, Any]:
    """Returns the networks with their initial weights, and the tokenizer; None for methods without text."""
    # all arms start from the same encoder; what they see afterwards differs by method and source
    seed_everything("weights", plan.seed)
    encoder = build_encoder(plan.encoder_config)
    seed_everything("arm", plan.seed, plan.name)
    head = text = tokenizer = None
    features = encoder.num_features
    if plan.method.uses_head:
        head = _build_head(features, plan.head)
    if plan.method.uses_text:
        tokenizer = _load_tokenizer(plan, texts)
        text = build_text_tower(features, tokenizer, **_text_sizes(plan.text))
    return Networks(encoder, head, text), tokenizer


def _build_head(features: int, head: HeadSettings) -> ProjectionHead:
    return ProjectionHead(features, head.hidden_dim, head.out_dim, head.kind, head.batch_norm)


def _logged(plan: ArmPlan, num_images: int, on_row: Callable[[Row], None] | None) -> Callable[[Row], None]:
    """Returns a function that logs every tenth row and passes each to `on_row`."""

    def log(row: Row) -> None:
        if row["step"] % (10 * plan.optimisation.log_every) == 0:
            logger.info(
                "%s: %d of %d images, loss %.3f, spread %.2f, %.0f images/s",
                plan.name, row["images"], num_images, row["loss"],
                row["embedding_std"], row["images_per_second"],
            )  # fmt: skip
        if on_row is not None:
            on_row(row)

    return log


def _split(plan: ArmPlan, source: ImageSource) -> tuple[ImageSource, int, ImageSource | None]:
    """Returns the arm's training images, its seed, and the images held out for its probe."""
    settings, method = plan.optimisation, plan.method
    views_per_caption = method.views_per_image * method.images_per_caption
    needed = settings.batch.captions_of(views_per_caption, f"arm {plan.name!r}")
    trained, held_out = hold_out(source, settings.num_probe_captions, needed, plan.seed)
    if settings.num_probe_captions and held_out is None:
        logger.warning("%s: no probes: every caption is needed to fill a batch", plan.name)
    return trained, plan.seed, held_out


def _checkpoint_of(plan: ArmPlan, source: ImageSource, folder: Path) -> Checkpoint:
    settings = plan.optimisation
    return Checkpoint(
        folder,
        _fingerprint(plan, source),
        settings.checkpoint_every_s,
        settings.num_checkpoints,
        settings.checkpoint_every_steps,
    )


def _fingerprint(plan: ArmPlan, source: ImageSource) -> str:
    """Returns a digest of everything that determines an arm's weights and history on one machine."""
    # where and how often something is read or kept does not matter
    same = plan.optimisation.changed(
        num_workers=0,
        cache_mib=0.0,
        checkpoint_every_s=0.0,
        checkpoint_every_steps=None,
        num_checkpoints=1,
    )
    digest = hashlib.sha256(repr(replace(plan, optimisation=same, tokenizer_folder=None)).encode())
    digest.update(repr(source.texts).encode())
    labels = [] if source.labels is None else [source.labels]
    for tensor in (source.caption_rows, *labels):
        digest.update(tensor.contiguous().numpy().data)
    digest.update(source.images.fingerprint())
    return digest.hexdigest()


def _load_tokenizer(plan: ArmPlan, texts: Sequence[str]) -> Any:
    if plan.tokenizer_folder is None:
        # sorted: the order of an image set must not decide which words are tokens
        return build_tokenizer(sorted(set(texts)), plan.text.max_tokens)
    from transformers import CLIPTokenizer

    if not Path(plan.tokenizer_folder).is_dir():
        raise ConfigError(
            f"encoder.text.tokenizer_folder: {plan.tokenizer_folder} is not a folder; it must hold a CLIP "
            "tokenizer. Set it to null to learn one from the captions."
        )
    return CLIPTokenizer.from_pretrained(plan.tokenizer_folder, local_files_only=True)
