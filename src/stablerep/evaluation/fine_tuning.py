"""Fine-tuning of the whole encoder on a small share of the labels.

A linear layer that starts at zero is put on the encoder, and both are trained with the cross-entropy on a
stratified part of the train images, the same for every encoder. The learning rate is chosen for each share on
the validation images. Source: the protocol of SimCLR (arXiv:2002.05709, section 4.3) on 1 and 10 % of the
labels, with AdamW in place of the authors' SGD, because it does not need another rate for each architecture.
Legend: N images, B images of a batch, K classes, F features, R shares of the labels.
"""

import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from stablerep.evaluation.evaluation import Choice, Evaluation, Measured, check_several_classes
from stablerep.evaluation.features import fit_size
from stablerep.evaluation.labelled_set import UNKNOWN
from stablerep.evaluation.subject import Images, Prompts, Split, Unlabelled
from stablerep.models.encoder import Encoder
from stablerep.seeding import numpy_generator, seed_of
from stablerep.settings import Settings, Values

logger = logging.getLogger(__name__)

_SHIFT = 1 / 8  # of the side: how far a train image is shifted at most
_BATCH_SIZE_READ = 256


class FineTuningSettings(Settings):
    """Settings of the fine-tuning."""

    section: ClassVar[str] = "evaluation.fine_tuning"

    shares: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Values] = Field(
        (0.01, 0.1), min_length=1, description="of the labelled train images, at least one of each class"
    )
    learning_rates: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Values] = Field(
        (1e-4, 1e-3, 1e-2), min_length=1, description="of AdamW; one is chosen per share and task"
    )
    num_steps: int = Field(100, ge=1, description="of each fit; the rate falls to zero by half a cosine")
    batch_size: int = Field(64, ge=2, description="images of a step")
    weight_decay: float = Field(0.0, ge=0, le=100)
    all_tasks: bool = Field(False, description="false: the first task of a set alone; each costs as much")
    seed: int = Field(
        0, ge=0, description="of the part, the order and the shifts; the same for every encoder"
    )


_DEFAULT = FineTuningSettings()


class FineTuning(Evaluation):
    """Accuracy of the encoder after training it further on few labels.

    Metrics: `labels_<share>`, with the share in per cent, such as `labels_1` and `labels_10`.

    Args:
        shares: see `FineTuningSettings`.
        learning_rates: likewise.
        num_steps: likewise.
        batch_size: likewise.
        weight_decay: likewise.
        all_tasks: likewise.
        seed: likewise.

    Raises:
        ConfigError: a setting is out of its bounds.
    """

    name = "fine_tuning"
    version = 1

    def __init__(
        self,
        shares: Sequence[float] = _DEFAULT.shares,
        learning_rates: Sequence[float] = _DEFAULT.learning_rates,
        num_steps: int = _DEFAULT.num_steps,
        batch_size: int = _DEFAULT.batch_size,
        weight_decay: float = _DEFAULT.weight_decay,
        all_tasks: bool = _DEFAULT.all_tasks,
        seed: int = _DEFAULT.seed,
    ) -> None:
        self.settings = FineTuningSettings(
            shares=tuple(shares),
            learning_rates=tuple(learning_rates),
            num_steps=num_steps,
            batch_size=batch_size,
            weight_decay=weight_decay,
            all_tasks=all_tasks,
            seed=seed,
        )

    def choose(self, train: Split, validation: Split, prompts: Prompts | None) -> dict[str, Choice]:
        """Trains once per share and learning rate, and keeps the best of each share on validation images.

        Raises:
            DataError: the train images of a task are all of one class.
        """
        del prompts
        check_several_classes(self.name, train)
        tasks = list(train.tasks) if self.settings.all_tasks else list(train.tasks)[:1]
        return {task: self._choose_rates(task, train, validation) for task in tasks}

    def score(self, choices: Mapping[str, Choice], images: Unlabelled) -> dict[str, np.ndarray]:
        """Returns by task the (N, R) int64 classes of the network that was kept for each share."""
        return {
            task: np.stack([_predict(each, images.pictures) for each in choice.state], axis=1)
            for task, choice in choices.items()
        }

    def measure(self, choice: Choice, predicted: np.ndarray, right: np.ndarray) -> dict[str, Measured]:
        """Returns the accuracy of each share."""
        del choice
        correct = predicted == right[:, None]
        return {
            f"labels_{_percent(share)}": Measured(correct[:, place])
            for place, share in enumerate(self.settings.shares)
        }

    def _choose_rates(self, task: str, train: Split, validation: Split) -> Choice:
        labels = train.labels[task]
        chosen: dict[str, float | int | str] = {}
        kept, accuracies = [], []
        for share in self.settings.shares:
            places = stratified_part(labels, share, self.settings.seed)
            started, best = time.monotonic(), None
            for rate in sorted(self.settings.learning_rates):
                network = self._fit(train.pictures, places, labels[places], len(train.tasks[task]), rate)
                accuracy = validation.accuracy(task, _predict(network, validation.pictures))
                if best is None or accuracy > best[0]:
                    best = accuracy, rate, network
            assert best is not None  # noqa: S101 -- there is a learning rate
            accuracies.append(best[0])
            chosen[f"learning_rate_{_percent(share)}"] = best[1]
            kept.append(best[2])
            logger.info(
                "fine-tuning on %d labels of %s: rate %g, %.1f %% on validation images, %.1f s",
                len(places), task, best[1], 100 * best[0], time.monotonic() - started,
            )  # fmt: skip
        return Choice(accuracies[0], chosen, kept)

    def _fit(
        self, images: Images, places: np.ndarray, labels: np.ndarray, num_classes: int, rate: float
    ) -> "_Classifier":
        """Trains the encoder and a classifier on some images; returns them in evaluation mode on the CPU."""
        settings, device = self.settings, _device()
        rng = numpy_generator("fine-tuning", settings.seed, len(places))
        # forked: an encoder may have dropout, which must not change the random state of what runs later
        with torch.random.fork_rng():
            torch.manual_seed(seed_of("fine-tuning", settings.seed))
            network = _Classifier(images.copy_of_encoder(), num_classes).to(device).train()
            optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=settings.weight_decay)
            batches = islice(_batches(len(places), settings.batch_size, rng), settings.num_steps)
            for step, batch in enumerate(batches):
                for group in optimizer.param_groups:
                    group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / settings.num_steps))
                views = fit_size(images.read(places[batch]), network.encoder.size_px, device)
                targets = torch.from_numpy(labels[batch]).to(device)
                loss = F.cross_entropy(network(_shifted(views, rng)), targets)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
        return network.eval().to("cpu")


class _Classifier(nn.Module):
    """An encoder and a linear layer that starts at zero, on features scaled to standard deviation 1."""

    def __init__(self, encoder: Encoder, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        # encoders differ in the size of their features by orders of magnitude; the rates do not
        self.norm = nn.LayerNorm(encoder.num_features, elementwise_affine=False)
        self.last = nn.Linear(encoder.num_features, num_classes)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.norm(self.encoder(images)))


def stratified_part(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Returns the places of a share of the images of each class, at least one of each, in rising order.

    A smaller share is a subset of a larger one.

    Args:
        labels: (N,) int64, -1 where unknown.
        share: of the labelled images.
        seed: of the choice.
    """
    rng = numpy_generator("fine-tuning part", seed)
    order = rng.permutation(len(labels))
    chosen = []
    for label in np.unique(labels[labels != UNKNOWN]):
        of_class = order[labels[order] == label]
        chosen.append(of_class[: max(1, round(share * len(of_class)))])
    return np.sort(np.concatenate(chosen))


def _percent(share: float) -> str:
    return f"{100 * share:g}"


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _batches(num: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yields batches without end; every image is seen once before any is seen again."""
    waiting = np.empty(0, dtype=np.int64)
    while True:
        while len(waiting) < size:
            waiting = np.concatenate([waiting, rng.permutation(num)])
        yield waiting[:size]
        waiting = waiting[size:]


def _shifted(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Moves each of (B, 3, S, S) images by up to an eighth of its side; the gap repeats the border."""
    side = images.shape[-1]
    most = round(side * _SHIFT)
    padded = F.pad(images, (most, most, most, most), mode="replicate")
    corners = rng.integers(0, 2 * most + 1, size=(len(images), 2)).tolist()
    moved = [
        image[:, top : top + side, left : left + side]
        for image, (top, left) in zip(padded, corners, strict=True)
    ]
    return torch.stack(moved)


@torch.inference_mode()
def _predict(network: _Classifier, images: Images) -> np.ndarray:
    """Returns the (N,) int64 classes of a split's images."""
    device, parts = _device(), []
    network.to(device)
    for start in range(0, len(images), _BATCH_SIZE_READ):
        places = np.arange(start, min(start + _BATCH_SIZE_READ, len(images)))
        batch = fit_size(images.read(places), network.encoder.size_px, device)
        parts.append(network(batch).argmax(dim=1).cpu())
    network.to("cpu")
    return torch.cat(parts).numpy()
