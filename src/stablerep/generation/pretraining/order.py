"""What the processes of a pretraining are given, in a file of their work folder: recipe and takedowns."""

import json
from pathlib import Path
from typing import Any

from stablerep.generation.pretraining.captioned_pixels import TakenDown
from stablerep.generation.pretraining.recipe import PretrainingRecipe

RECIPE_FILE = "recipe.json"


def order_of(recipe: PretrainingRecipe, taken_down: TakenDown) -> dict[str, Any]:
    """Returns both as plain values."""
    taken = {"captions": sorted(taken_down.captions), "sources": sorted(taken_down.sources)}
    return {"recipe": recipe.model_dump(mode="json"), "taken_down": taken}


def read_order(work: Path) -> tuple[PretrainingRecipe, TakenDown]:
    """Reads both back from the file in a work folder."""
    order = json.loads((work / RECIPE_FILE).read_text())
    taken = {kind: frozenset(names) for kind, names in order["taken_down"].items()}
    return PretrainingRecipe.read(order["recipe"]), TakenDown(**taken)
