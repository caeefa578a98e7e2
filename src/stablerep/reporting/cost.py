"""The report's section on cost: seconds by room, images and energy by generated set, and views by arm."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stablerep.reporting.content import ReportContent

_JOULES_PER_WATT_HOUR = 3600.0


@dataclass(frozen=True)
class DrawnCost:
    """What the images of a generated set cost, over all runs.

    Attributes:
        images: the set's name.
        num_images: images that were drawn.
        seconds: time for drawing them.
        energy_wh: of GPU and processor; None if no counter reports it.
        price: None if no price per hour is set.
    """

    images: str
    num_images: int
    seconds: float
    energy_wh: float | None
    price: float | None

    @property
    def images_per_second(self) -> float | None:
        """Images divided by seconds; None if no time was measured."""
        return self.num_images / self.seconds if self.seconds else None


@dataclass(frozen=True)
class TrainedCost:
    """What the training of an arm cost, over its seeds.

    Attributes:
        arm: its name.
        num_seeds: seeds that were trained.
        views: augmented images that one seed saw.
        seconds: of all seeds; None if the training was not timed here.
        views_per_second: the last measured rate; None if there is none.
    """

    arm: str
    num_seeds: int
    views: int
    seconds: float | None
    views_per_second: float | None


@dataclass(frozen=True)
class Cost:
    """The section.

    Attributes:
        rooms: room (or node without an item) -> seconds, in the order in which they ran.
        drawn: the generated sets.
        trained: the arms.
    """

    rooms: dict[str, float]
    drawn: list[DrawnCost]
    trained: list[TrainedCost]

    @property
    def energy_wh(self) -> float | None:
        """Energy for drawing all images; None if it is not known."""
        known = [each.energy_wh for each in self.drawn if each.energy_wh is not None]
        return sum(known) if known else None

    @property
    def price(self) -> float | None:
        """Price of drawing all images; None if it is not known."""
        known = [each.price for each in self.drawn if each.price is not None]
        return sum(known) if known else None


def add_up(content: ReportContent) -> Cost:
    """Adds up the cost of a run from its content."""
    rooms: dict[str, float] = {}
    for node, seconds in content.stage_seconds.items():
        room = node.partition(".")[0]  # a node without an item is a row of its own
        rooms[room] = rooms.get(room, 0.0) + seconds
    drawn = [_drawn(name, spent) for name, spent in content.drawing_costs.items()]
    return Cost(rooms, drawn, _trained(content))


def _drawn(name: str, spent: Mapping[str, Any]) -> DrawnCost:
    energies = [spent[key] for key in ("gpu_energy_j", "processor_energy_j") if spent.get(key) is not None]
    energy = sum(energies) / _JOULES_PER_WATT_HOUR if energies else None
    return DrawnCost(name, int(spent["num_made_images"]), float(spent["seconds"]), energy, spent.get("price"))


def _trained(content: ReportContent) -> list[TrainedCost]:
    seeds: dict[str, list[int]] = {}
    for arm, seed in content.histories:
        seeds.setdefault(arm, []).append(seed)
    trained = []
    for arm, of_arm in seeds.items():
        timed = [
            content.training_seconds[arm, seed] for seed in of_arm if (arm, seed) in content.training_seconds
        ]
        last = content.histories[arm, of_arm[0]].iloc[-1]
        rate = last.get("images_per_second")
        trained.append(
            TrainedCost(
                arm,
                len(of_arm),
                int(last["images"]),
                sum(timed) if len(timed) == len(of_arm) else None,
                None if rate is None else float(rate),
            )
        )
    return trained
