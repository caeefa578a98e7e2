"""`generator.json` of an image set: what made its images."""

import json
from pathlib import Path
from typing import Any

from stablerep.generation.image_sets.plan import ImageSetPlan

GENERATOR_FILE = "generator.json"
_EARLIER = "earlier"  # in the file, while a run replaces another generator's images


def read_generators(store: Path) -> dict[str, dict[str, Any]]:
    """Returns generator id -> what made a set's images; several if the last run did not finish.

    Empty if the file is missing or damaged.
    """
    try:
        facts = dict(json.loads((store / GENERATOR_FILE).read_text(encoding="utf-8")))
        known = [facts, *facts.pop(_EARLIER, {}).values()]
        return {str(each["generator_id"]): each for each in known if "files" in each}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def earlier_generators(plan: ImageSetPlan, store: Path) -> dict[str, Any]:
    """Returns, under a key of its own, what made the images that leave the set.

    Written before the first shard, because the run may fail and leave these images in place.
    """
    leaving = {each.sample.record["generator_id"] for each in plan.leaving} - {plan.wanted.generator_id}
    known = {each: facts for each, facts in read_generators(store).items() if each in leaving}
    return {_EARLIER: known} if known else {}
