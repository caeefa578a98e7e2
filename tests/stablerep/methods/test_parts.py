"""A loss is computed in parts by several processes: one whose parts do not add up is refused."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stablerep.errors import ConfigError
from stablerep.methods.clip import CLIP
from stablerep.methods.method import Embedded
from stablerep.methods.parts import check_parts_add_up
from stablerep.methods.simclr import SimCLR
from stablerep.methods.stablerep import StableRep
from stablerep.methods.stablerep_plus import StableRepPlus
from stablerep.methods.supcon import SupCon
from stablerep.methods.supervised import Supervised

EVERY_ROW = slice(None)
SCALE = torch.tensor(1.0)


def unit(num: int, dims: int) -> Tensor:
    return F.normalize(torch.randn(num, dims, generator=torch.Generator().manual_seed(0)), dim=1)


LIKE = Embedded(unit(2, 5), torch.tensor([0, 1]), unit(2, 7), unit(2, 7), torch.tensor([0, 1]))


@dataclass(frozen=True)
class EveryRow(StableRep):
    """Reads every row in each process."""

    def __call__(self, batch: Embedded, logit_scale: Tensor | None) -> dict[str, Tensor]:
        return super().__call__(replace(batch, anchors=EVERY_ROW), logit_scale)


@dataclass(frozen=True)
class MeanOfOwn(StableRep):
    """Divides by the number of its own anchors."""

    def __call__(self, batch: Embedded, logit_scale: Tensor | None) -> dict[str, Tensor]:
        parts = super().__call__(batch, logit_scale)
        share = len(batch.labels_N[batch.anchors]) / len(batch.labels_N)
        return {name: part / share for name, part in parts.items()}


@dataclass(frozen=True)
class ByPlace(SimCLR):
    """Takes the rows that are half a batch apart for two views of one image."""

    def __call__(self, batch: Embedded, logit_scale: Tensor | None) -> dict[str, Tensor]:
        places = torch.arange(len(batch.labels_N)) % (len(batch.labels_N) // 2)
        return super().__call__(replace(batch, labels_N=places), logit_scale)


@dataclass(frozen=True)
class EveryText(CLIP):
    """Reads every caption in each process."""

    def __call__(self, batch: Embedded, logit_scale: Tensor | None) -> dict[str, Tensor]:
        return super().__call__(replace(batch, text_anchors=EVERY_ROW), logit_scale)


@dataclass(frozen=True)
class Drawing(StableRep):
    """Draws a number that plays no part."""

    def __call__(self, batch: Embedded, logit_scale: Tensor | None) -> dict[str, Tensor]:
        torch.rand(1)
        return super().__call__(batch, logit_scale)


def refusal(method: Any) -> str | None:
    """Returns the message with which a method is refused; None where it is not."""
    try:
        check_parts_add_up("own", method, LIKE, SCALE)
    except ConfigError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    "method",
    [
        StableRep(images_per_caption=2),
        StableRep(images_per_caption=3, tile=4),
        StableRepPlus(images_per_caption=2),
        SimCLR(),
        SimCLR(views_per_image=3),
        SupCon(),
        CLIP(),
        CLIP(tile=2),
        Supervised(),
    ],
    ids=repr,
)
def test_the_parts_of_the_projects_losses_add_up(method: Any) -> None:
    assert refusal(method) is None


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (EveryRow(images_per_caption=2), "multi_positive"),
        (MeanOfOwn(images_per_caption=2), "multi_positive"),
        (ByPlace(), "nt_xent"),
        (EveryText(), "image_text"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_a_loss_whose_parts_do_not_add_up_is_refused(method: Any, name: str) -> None:
    own = type(method).__name__
    told = f"arm 'own': its method, {own}, cannot be trained in several processes: {name!r} of"
    assert str(refusal(method)).startswith(told)


def test_the_check_changes_no_random_state() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    check_parts_add_up("arm", Drawing(images_per_caption=2), LIKE, SCALE)
    assert torch.equal(torch.get_rng_state(), before)
