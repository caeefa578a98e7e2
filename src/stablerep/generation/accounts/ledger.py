"""What an image set costs: seconds, images a second, energy, money; and what the next one will.

Kept beside the image set and not inside: the set is to be the same however long it took.

A shard is counted when it is written. What a killed run wrote and did not count is found by the next one:
before it draws, a run notes for each shard what it will draw and what the file is like, and a file that has
changed since then, and holds as many images as were to be in it, was written.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stablerep.storage.outages import refuse_outage
from stablerep.storage.whole_files import written_whole

logger = logging.getLogger(__name__)

_SECONDS_AN_HOUR = 3600
_SUMS = ("num_made_images", "seconds", "gpu_energy_j", "processor_energy_j", "price")
_NOTHING: dict[str, Any] = dict.fromkeys(_SUMS) | {"num_made_images": 0, "seconds": 0.0}


@dataclass(frozen=True)
class FoundShard:
    """A shard as it is on the disk.

    Attributes:
        digest: of the file; empty where it is none, or is damaged.
        num_images: that were made for it: the intact ones, and those that a safety checker blanked.
    """

    digest: str = ""
    num_images: int = 0


@dataclass(frozen=True)
class DrawnShard:
    """A shard for which images are to be drawn.

    Attributes:
        num_drawn: images that are drawn for it.
        num_images: as of `FoundShard`, when it is written.
        digest_before: of the file before.
    """

    num_drawn: int
    num_images: int
    digest_before: str

    def is_written(self, found: FoundShard) -> bool:
        """Returns whether the file on the disk is the one that was to be written."""
        return found.digest not in ("", self.digest_before) and found.num_images == self.num_images


class Ledger:
    """The file `<image set>.ledger.json`: measured rates, and what each generator's images cost so far."""

    def __init__(self, store: Path, price_per_hour: float | None) -> None:
        """Reads it; one that is missing or of another version is empty.

        Args:
            store: the image set's folder.
            price_per_hour: of all machines that draw, in any currency.
        """
        self.path = store.with_name(store.name + ".ledger.json")
        self.price_per_hour = price_per_hour
        self._rates: dict[str, Any] = {}
        self._totals: dict[str, Any] = {}
        self._open: dict[str, dict[str, DrawnShard]] = {}  # generator id -> shard -> what is to be drawn
        self._before: dict[str, Any] = {}
        try:
            self._rates, self._totals, self._open = _parse(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            refuse_outage(self.path, error)
            logger.warning("%s: cannot be read (%s); what was spent before is not counted", self.path, error)

    def forecast(self, key: str, num_images: int) -> str:
        """Returns `about 3 s`, with the price where one is set; says so where nothing was measured yet."""
        if not num_images:
            return f"about {self.duration_and_price(0)}"
        known = self._rates.get(key)
        if known is None:
            return "no forecast before the first batch, because nothing was measured yet"
        return f"about {self.duration_and_price(known['start_s'] + num_images / known['images_per_second'])}"

    def duration_and_price(self, seconds: float) -> str:
        """Returns a duration, with its price where one is set, as people read it."""
        text = duration(seconds)
        return text if self.price_per_hour is None else f"{text} for {self.price(seconds):,.2f}"

    def price(self, seconds: float) -> float | None:
        """Returns the price of a number of seconds, None if none is set."""
        if self.price_per_hour is None:
            return None
        return round(self.price_per_hour * seconds / _SECONDS_AN_HOUR, 4)

    def settle(self, found: Mapping[str, FoundShard]) -> None:
        """Counts the shards that a killed run wrote and did not count; their seconds are not known.

        Args:
            found: file name -> the shard on the disk, of all that are there.

        Raises:
            DataError: the disk refuses.
        """
        if not self._open:
            return
        for generator_id, shards in self._open.items():
            written = [
                name for name, shard in shards.items() if shard.is_written(found.get(name, FoundShard()))
            ]
            num = sum(shards[name].num_drawn for name in written)
            self._totals[generator_id] = _sum([self.total(generator_id), {"num_made_images": num}])
        self._open = {}
        self._write()

    def begin(self, generator_id: str, shards: Mapping[str, DrawnShard]) -> None:
        """Notes what a run will draw, before it draws; after `settle`.

        Args:
            generator_id: whose images they are.
            shards: file name -> what is to be drawn.

        Raises:
            DataError: the disk refuses.
        """
        self._before = self.total(generator_id)
        self._open = {generator_id: dict(shards)}
        self._write()

    def count(
        self,
        key: str,
        generator_id: str,
        spent: Mapping[str, Any],
        rate: Mapping[str, float],
        shard: str | None = None,
    ) -> None:
        """Counts what a run has spent so far, in the place of what it had spent before.

        Args:
            key: of the rate: what drew, and with how many workers.
            generator_id: as of `begin`.
            spent: `num_made_images`, `seconds`, `gpu_energy_j`, `processor_energy_j` and `price`, the last
                three None where they are not known.
            rate: `start_s` and `images_per_second`.
            shard: that was written; None where the run has come to its end.

        Raises:
            DataError: the disk refuses.
        """
        self._rates[key] = dict(rate)
        self._totals[generator_id] = _sum([self._before, spent])
        if shard is None:
            self._open = {}
        else:
            self._open[generator_id].pop(shard)
        self._write()

    def _write(self) -> None:
        open_shards = {
            generator_id: {name: asdict(shard) for name, shard in shards.items()}
            for generator_id, shards in self._open.items()
            if shards
        }
        values = {"rates": self._rates, "totals": self._totals} | (
            {"open": open_shards} if open_shards else {}
        )
        with written_whole(
            self.path, "The shards are kept; free some space or fix the permissions."
        ) as beside:
            beside.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def total(self, generator_id: str) -> dict[str, Any]:
        """Returns what a generator's images cost in all runs; zeros and None where none was made."""
        return _NOTHING | self._totals.get(generator_id, {})


def _parse(text: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, dict[str, DrawnShard]]]:
    """Returns rates, totals and what a run was drawing; raises what a wrong form raises."""
    values = json.loads(text)
    rates = {
        key: {name: float(rate[name]) for name in ("start_s", "images_per_second")}
        for key, rate in values["rates"].items()
        if rate["images_per_second"] > 0
    }
    totals = {key: _sum([_NOTHING, total]) for key, total in values["totals"].items()}
    shards = {
        key: {name: _drawn_shard(shard) for name, shard in those.items()}
        for key, those in values.get("open", {}).items()
    }
    return rates, totals, shards


def _drawn_shard(values: Mapping[str, Any]) -> DrawnShard:
    return DrawnShard(int(values["num_drawn"]), int(values["num_images"]), str(values["digest_before"]))


def _sum(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Adds figure by figure; what was not measured in one part is that of the others."""
    given = list(parts)
    sums: dict[str, Any] = {}
    for name in _SUMS:
        known = [part[name] for part in given if part.get(name) is not None]
        sums[name] = round(sum(known), 3) if known else None
    return sums


def duration(seconds: float) -> str:
    """Returns `3 s`, `12 min`, `5.2 h` or `310 days`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 100 * _SECONDS_AN_HOUR:
        return f"{seconds / _SECONDS_AN_HOUR:.1f} h"
    return f"{seconds / 24 / _SECONDS_AN_HOUR:,.0f} days"
