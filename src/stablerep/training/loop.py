"""The training loop: one arm, on accelerate, so that it runs on a GPU where there is one.

Legend: N views of a batch, M captions, D dimensions, F features.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from stablerep.errors import TrainingError
from stablerep.losses.method import Embedded, Method
from stablerep.models.encoder import Encoder
from stablerep.models.heads import ProjectionHead
from stablerep.models.text import TextTower
from stablerep.training.batches import Batch, GroupedSampler, ImageSource
from stablerep.training.checkpoint import Checkpoint, Progress, Row
from stablerep.training.monitor import spread_of, warn_of_collapse
from stablerep.training.settings import OptimisationSettings
from stablerep.views import Augmentation

logger = logging.getLogger(__name__)


class Networks(nn.Module):
    """Encoder, head and text tower as one module, so that one forward pass serves them all."""

    def __init__(self, encoder: Encoder, head: ProjectionHead | None, text: TextTower | None) -> None:
        """Joins them; a method has at least one of head and text tower."""
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.text = text

    def forward(
        self,
        views: Tensor,
        labels_N: Tensor,
        caption_N: Tensor,
        token_ids: Tensor | None,
    ) -> tuple[Embedded, Tensor | None]:
        """Embeds a batch.

        Args:
            views: (N, 3, H, W) in [0, 1].
            labels_N: (N,) positives share a label.
            caption_N: (N,) row in token_ids.
            token_ids: (M, T), or None without a text tower.

        Returns:
            The embedded batch and the logit scale.
        """
        features = self.encoder(views)
        z_ND = self.head(features) if self.head is not None else features.new_zeros(len(views), 0)
        if self.text is None or token_ids is None:
            return Embedded(z_ND, labels_N), None
        images = self.text.embed_images(features)
        texts = self.text.embed_text(token_ids)
        return Embedded(z_ND, labels_N, images, texts, caption_N), self.text.logit_scale


@dataclass(frozen=True)
class Arm:
    """One line of an experiment.

    Attributes:
        name: unique in the experiment.
        method: the loss and how its batches are drawn.
        source: the images.
        seed: of weights, order and views.
    """

    name: str
    method: Method
    source: ImageSource
    seed: int


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Splits parameters: weight decay on matrices and kernels, none on norms, biases and scalars."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def rate_factor(step: int, num_steps: int, warmup_share: float) -> float:
    """Returns the share of the peak learning rate: linear warm-up, then half a cosine to zero."""
    warmup = warmup_share * num_steps
    if step < warmup:
        return (step + 1) / max(1.0, warmup)
    progress = (step - warmup) / max(1.0, num_steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))


def run_arm(
    arm: Arm,
    networks: Networks,
    settings: OptimisationSettings,
    tokenize: Callable[[list[str]], Tensor] | None,
    on_row: Callable[[Row], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> list[Row]:
    """Trains the networks in place, going on where the run of this checkpoint was stopped.

    On a CPU a run that was killed and went on gives the weights of an uninterrupted one, bit for bit.

    Args:
        arm: what to train on.
        networks: on the CPU; on the CPU again afterwards.
        settings: how.
        tokenize: captions to (M, T) ids, for methods that use text.
        on_row: called with each row of the history as it is made.
        checkpoint: where the state is kept; None keeps none.

    Returns:
        The history: step, images, loss and its parts, learning_rate, grad_norm, embedding_std,
        effective_rank, images_per_second; means over the steps since the row before where that applies.

    Raises:
        TrainingError: the loss is not finite.
        DataError: the source cannot fill a batch.
    """
    method = arm.method
    num_images = settings.batch_size // method.views_per_image
    sampler = GroupedSampler(arm.source, num_images, method.images_per_caption, arm.seed)
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=settings.mixed_precision)
    augment = Augmentation(settings.augmentation, networks.encoder.size_px)
    optimizer = torch.optim.AdamW(
        decay_groups(networks, settings.weight_decay),
        lr=settings.learning_rate,
        betas=settings.betas,
    )
    model, optimizer = accelerator.prepare(networks, optimizer)
    progress = Progress()
    bare = accelerator.unwrap_model(model)
    if checkpoint is not None:
        progress = checkpoint.restore(bare, optimizer)
        if progress.step:
            logger.info("%s: goes on from step %d of %d", arm.name, progress.step, settings.num_steps)
    first, started = progress.step, time.monotonic()
    model.train()
    for step, batch in zip(range(first, settings.num_steps), sampler.batches(first), strict=False):
        rate = settings.learning_rate * rate_factor(step, settings.num_steps, settings.warmup_share)
        for group in optimizer.param_groups:
            group["lr"] = rate
        inputs = _inputs_of(arm, batch, augment, tokenize, accelerator.device)
        with accelerator.autocast():
            embedded, logit_scale = model(*inputs)
        parts = method(embedded, logit_scale)
        loss = torch.stack(list(parts.values())).sum()
        if not torch.isfinite(loss):
            raise TrainingError(
                f"arm {arm.name!r}: got a loss of {float(loss.detach())} at step {step}; must be finite. "
                f"Captions of the batch: {batch.text_rows[:5].tolist()}... Lower optimisation.learning_rate."
            )
        accelerator.backward(loss)
        norm = accelerator.clip_grad_norm_(model.parameters(), math.inf)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        measured = {name: float(value.detach()) for name, value in parts.items()}
        progress.add(measured | {"loss": float(loss.detach()), "grad_norm": float(norm)})
        progress.step = done = step + 1
        if done % settings.log_every == 0 or done == settings.num_steps:
            span = (done - 1) % settings.log_every + 1
            row = {name: value / span for name, value in progress.sums.items()}
            row |= _spread(embedded, method)
            speed = (done - first) * settings.batch_size / (time.monotonic() - started)
            row |= {"step": done, "images": done * settings.batch_size, "learning_rate": rate}
            row |= {"images_per_second": speed}
            if logit_scale is not None:
                row["logit_scale"] = float(logit_scale.detach())
            progress.history.append(row)
            warn_of_collapse(arm.name, done, row)
            if on_row is not None:
                on_row(row)
            progress.sums = {}
        if checkpoint is not None:
            checkpoint.keep(bare, optimizer, progress, last=done == settings.num_steps)
    networks.to("cpu")
    return progress.history


def _spread(embedded: Embedded, method: Method) -> Row:
    watched = embedded.z_ND if method.uses_head else embedded.image_ND
    assert watched is not None  # noqa: S101 -- a method without a head has image_ND
    return spread_of(watched.detach())


def _inputs_of(
    arm: Arm,
    batch: Batch,
    augment: Augmentation,
    tokenize: Callable[[list[str]], Tensor] | None,
    device: torch.device,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Draws the views of a batch; labels are the caption's row, or the image's for several views of one."""
    method = arm.method
    images = arm.source.images[batch.image_rows].to(device).float() / 255
    views = torch.cat([augment(images) for _ in range(method.views_per_image)])
    same = batch.image_rows if method.views_per_image > 1 else batch.text_rows[batch.caption_N]
    labels_N = same.repeat(method.views_per_image).to(device)
    caption_N = batch.caption_N.repeat(method.views_per_image).to(device)
    token_ids = None
    if method.uses_text:
        if tokenize is None:
            raise TrainingError(f"arm {arm.name!r}: its method uses captions; a tokenizer is needed")
        token_ids = tokenize([arm.source.texts[row] for row in batch.text_rows.tolist()]).to(device)
    return views, labels_N, caption_N, token_ids
