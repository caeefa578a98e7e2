"""A linear classifier that is trained on the encoder's features while the encoder is trained.

It follows what a linear probe would say, at the cost of a matrix product per step. The encoder is not
changed: features reach the classifier without their graph, and no random number is drawn. Source of the
classifier: the linear probe of arXiv:2306.00984 with a BatchNorm without affine; its optimiser is our choice.
Legend: n views of this process, N of all, I held-out images, F features.
"""

import logging
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stablerep.collectives import gather
from stablerep.image_sets.source import ImageSource
from stablerep.storage.checkpoints import Beside
from stablerep.training.average import Average
from stablerep.training.settings import TrainingSettings

logger = logging.getLogger(__name__)
_UNLABELLED = -1


class OnlineProbe:
    """The classifier, its optimiser, and its average where one of the encoder is exported.

    The average is of the same steps as the encoder's: the classifier of the last steps would not fit the
    features of averaged weights.

    Args:
        num_features: F.
        num_classes: labels are below it.
        settings: of the training.
        device: on which the encoder is.

    Attributes:
        classifier: BatchNorm and a linear layer.
        optimizer: of the classifier alone.
    """

    def __init__(
        self, num_features: int, num_classes: int, settings: TrainingSettings, device: torch.device
    ) -> None:
        # zeros, not torch's own start: a draw would change the views of the arm
        linear = nn.utils.skip_init(nn.Linear, num_features, num_classes)
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
        self.classifier = nn.Sequential(nn.BatchNorm1d(num_features, affine=False), linear).to(device)
        self.optimizer = torch.optim.Adam(
            self.classifier.parameters(),
            lr=settings.online_probe.learning_rate,
            fused=True if device.type == "cuda" else None,
        )
        self.average = Average(self.classifier, settings.ema_decay)

    @property
    def state(self) -> Beside:
        """What a checkpoint keeps of it."""
        return self.classifier, self.optimizer, self.average.weights

    def learn(self, features_nF: Tensor, classes_n: Tensor, step: int) -> None:
        """Takes a step on the features of all processes; each takes the same one.

        Args:
            features_nF: of the views; their graph is not followed.
            classes_n: int64, -1 where the class is not known.
            step: number of the training's step, from 0.
        """
        features_NF, classes_N = gather(features_nF.detach().float()), gather(classes_n)
        logits_NC = self.classifier(features_NF)
        loss = F.cross_entropy(logits_NC, classes_N, ignore_index=_UNLABELLED, reduction="sum")
        self.optimizer.zero_grad(set_to_none=True)
        (loss / (classes_N != _UNLABELLED).sum().clamp(min=1)).backward()
        self.optimizer.step()
        self.average.update(self.classifier, step)

    @torch.no_grad()
    def accuracy(self, features_IF: Tensor, classes_I: Tensor) -> float:
        """Returns the share of images of a known class that get it; NaN where there is none.

        Args:
            features_IF: of the encoder with the weights that would be exported.
            classes_I: int64, -1 where the class is not known.
        """
        known_I = classes_I != _UNLABELLED
        if not bool(known_I.any()):
            return math.nan
        self.classifier.eval()
        with self.average.in_place_of(self.classifier):
            right_I = self.classifier(features_IF[known_I]).argmax(dim=1) == classes_I[known_I]
        self.classifier.train()
        return float(right_I.float().mean())


def build_online_probe(
    arm: str,
    source: ImageSource,
    held_out: ImageSource | None,
    num_features: int,
    settings: TrainingSettings,
    device: torch.device,
) -> OnlineProbe | None:
    """Returns the probe of an arm; None where it is off, or where there is nothing to learn or to measure.

    Args:
        arm: its name, for the log.
        source: of the training.
        held_out: images on which it is measured.
        num_features: F.
        settings: of the training.
        device: on which the encoder is.
    """
    if not settings.online_probe.enabled or held_out is None:  # that none are held out is said elsewhere
        return None
    if source.labels is None or held_out.labels is None or int(source.labels.max()) < 0:
        logger.warning("%s: no online probe: the images (%s) have no classes", arm, source.name)
        return None
    num_classes = 1 + int(torch.maximum(source.labels.max(), held_out.labels.max()))
    return OnlineProbe(num_features, num_classes, settings, device)
