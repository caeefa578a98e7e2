"""What an image set costs: seconds, images a second, energy, money; and what the next one will.

Kept beside the image set and not inside: the set is to be the same however long it took.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stablerep.storage.whole_files import written_whole

logger = logging.getLogger(__name__)

_SECONDS_AN_HOUR = 3600
_SUMS = ("num_made_images", "seconds", "gpu_energy_j", "processor_energy_j", "price")


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
        try:
            values = json.loads(self.path.read_text(encoding="utf-8"))
            self._rates, self._totals = dict(values["rates"]), dict(values["totals"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("%s: cannot be read (%s); what was spent before is not counted", self.path, error)

    def forecast(self, key: str, num_images: int) -> str:
        """Returns `about 3 s`, with the price where one is set; says so where nothing was measured yet."""
        if not num_images:
            return f"about {self.duration_and_price(0)}"
        known = self._rates.get(key)
        if known is None:
            return "no forecast before the first shard, for nothing was measured yet"
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

    def add(self, key: str, generator_id: str, spent: Mapping[str, Any], rate: Mapping[str, float]) -> None:
        """Adds a run that drew images.

        Args:
            key: of the rate: what drew, and with how many workers.
            generator_id: whose images they are.
            spent: `num_made_images`, `seconds`, `gpu_energy_j`, `processor_energy_j` and `price`, the last
                three None where they are not known.
            rate: `start_s` and `images_per_second`.

        Raises:
            DataError: the disk refuses.
        """
        self._rates[key] = dict(rate)
        self._totals[generator_id] = _sum([self.total(generator_id), spent])
        text = json.dumps({"rates": self._rates, "totals": self._totals}, indent=1, sort_keys=True)
        with written_whole(
            self.path, "The shards are kept; free some space or fix the permissions."
        ) as beside:
            beside.write_text(text + "\n", encoding="utf-8")

    def total(self, generator_id: str) -> dict[str, Any]:
        """Returns what a generator's images cost in all runs; zeros and None where none was made."""
        empty = dict.fromkeys(_SUMS) | {"num_made_images": 0, "seconds": 0.0}
        return empty | self._totals.get(generator_id, {})


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
