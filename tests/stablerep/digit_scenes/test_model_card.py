"""The model card says what was measured, and the shipped one is what the code writes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from stablerep.digit_scenes.model_card import write_card

ROOT = Path(__file__).parents[3]
GENERATOR = "data/06_models/generator"
SECONDS = {"autoencoder_s": 17 * 60, "denoiser_s": 85 * 60}  # the shipped generator's, to the minute


@pytest.fixture
def recipe() -> dict[str, Any]:
    text = (ROOT / "conf/params/pretraining/embedded.yaml").read_text()
    return yaml.safe_load(text)


def test_the_shipped_card_is_what_is_written_of_its_figures(
    recipe: dict[str, Any], read_committed: Callable[[str], str]
) -> None:
    figures = json.loads(read_committed(f"{GENERATOR}/figures.json"))
    written = write_card(figures, SECONDS, recipe)
    # the shipped card is of 0.1, whose section of the parameters had another name
    of_0_1 = written.replace("`pretraining` of conf/params", "`pretraining_recipe` of this project")
    assert read_committed(f"{GENERATOR}/README.md") == of_0_1 != written


@pytest.mark.parametrize(
    ("decays", "told"),
    [
        ((0.0, 0.999), "the weights of the denoiser are a moving average"),
        ((0.9, 0.999), "the weights of the autoencoder and the denoiser are a moving average"),
        ((0.0, 0.0), "the weights are those of the last step"),
    ],
)
def test_only_weights_that_are_averaged_are_called_so(
    recipe: dict[str, Any], decays: tuple[float, float], told: str
) -> None:
    for part, decay in zip(("autoencoder", "denoiser"), decays, strict=True):
        recipe[part]["ema_decay"] = decay
    figures = {"judge": _rates(), "real": _rates(), "scales": {}, "num_images": 2}
    figures |= {"num_inference_steps": 4, "guidance_interval": [0.25, 1.0]}
    assert f"dropped; {told}." in write_card(figures, SECONDS, recipe)


def _rates() -> dict[str, float]:
    return dict.fromkeys(("digit", "ink", "ground", "texture", "diversity"), 1.0)
