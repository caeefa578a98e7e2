"""Settings out of range are told apart before anything is loaded."""

import json
import math

import pytest

from stablerep.errors import ConfigError
from stablerep.generation.diffusion.settings import GeneratorSettings


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, -math.inf])
def test_a_guidance_scale_that_is_no_number_from_0_names_its_key(settings, value):
    with pytest.raises(ConfigError, match=r"generator\.guidance_scale: got .*must be >= 0"):
        settings(guidance_scale=value)


@pytest.mark.parametrize(
    "name",
    ["num_inference_steps", "images_per_caption", "size_px", "batch_size", "num_shards"],
)
def test_zero_of_anything_counted_names_its_key(settings, name):
    with pytest.raises(ConfigError, match=rf"generator\.{name}: got 0; must be >= 1"):
        settings(**{name: 0})
    settings(**{name: 1})


def test_an_unknown_dtype_names_the_known_ones(settings):
    with pytest.raises(
        ConfigError,
        match=r"dtype: got 'float8'; must be one of auto, bfloat16, float16, float32. Did you mean",
    ):
        settings(dtype="float8")


def test_images_are_not_stored_larger_than_drawn(settings):
    with pytest.raises(ConfigError, match=r"generator\.saved_size_px: got 32; must be >= 1 and <= 16"):
        settings(saved_size_px=32)


def test_speed_and_layout_shape_no_pixel(settings):
    faster = settings(batch_size=64, num_shards=9, images_per_caption=7)
    assert faster.facts_of_pixels() == settings().facts_of_pixels()


def test_the_negative_prompt_shapes_pixels_only_under_guidance(settings):
    assert settings(negative_prompt="blurred").facts_of_pixels() != settings().facts_of_pixels()
    alone = settings(guidance_scale=1.0)
    assert (
        settings(guidance_scale=1.0, negative_prompt="blurred").facts_of_pixels() == alone.facts_of_pixels()
    )


def test_an_interval_that_limits_nothing_leaves_the_generator_as_it_was(settings):
    assert "guidance_interval" not in settings().facts_of_pixels()
    limited = settings(guidance_interval=(0.2, 0.8))
    assert limited.facts_of_pixels() == settings().facts_of_pixels() | {"guidance_interval": [0.2, 0.8]}
    plain = settings(guidance_scale=1.0)
    assert (
        settings(guidance_scale=1.0, guidance_interval=(0.2, 0.8)).facts_of_pixels()
        == plain.facts_of_pixels()
    )


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"guidance_interval": (0.4, 1.0), "num_inference_steps": 5},
        {"guidance_scale": 1.0, "negative_prompt": "blurred"},
        {"negative_prompt": "blurred", "saved_size_px": 8, "dtype": "bfloat16"},
        {"safety_checker": True, "compile": True},
        {"noise": "torch"},
        {"noise": "philox"},
        {"scheduler": {"_target_": "diffusers.DPMSolverMultistepScheduler", "use_karras_sigmas": True}},
    ],
)
def test_the_facts_of_a_record_give_the_settings_back(settings, values):
    facts = json.loads(json.dumps(settings(**values).facts_of_pixels()))
    assert GeneratorSettings.from_facts(facts, images_per_caption=1).facts_of_pixels() == facts


@pytest.mark.parametrize(
    ("interval", "told"),
    [
        ((-0.1, 1.0), r"guidance_interval\[0\]: got -0.1; must be >= 0 and <= 1"),
        ((0.0, 1.5), r"guidance_interval\[1\]: got 1.5; must be >= 0 and <= 1"),
        ((0.8, 0.2), r"guidance_interval: got \[0.8, 0.2\]; must hold the start of at least one of 3 steps"),
        ((0.7, 1.0), r"guidance_interval: got \[0.7, 1.0\]; must hold the start"),
    ],
)
def test_an_interval_without_a_step_is_refused(settings, interval, told):
    with pytest.raises(ConfigError, match=told):
        settings(guidance_interval=interval)


def test_a_dtype_that_was_not_chosen_yet_makes_no_record(settings):
    with pytest.raises(ValueError, match="choose one first"):
        settings(dtype="auto").facts_of_pixels()
