"""Chooses the sampler of a model, and has it sample once before anything is drawn.

diffusers looks at most of a sampler's values when it samples, at some of them never.
"""

import inspect
from pathlib import Path
from typing import Any

import torch

from stablerep.errors import ConfigError, GeneratorError
from stablerep.generation.diffusion.identity import hint_of
from stablerep.generation.diffusion.parts import LOADING_FAULTS
from stablerep.generation.diffusion.sampler_values import faults_of_noise, faults_of_values
from stablerep.generation.diffusion.settings import GeneratorSettings

_WHERE = "conf/params/generator/<name>.yaml"
TRIAL_SHAPE = (1, 4, 8, 8)


def choose_scheduler(folder: Path, given: Any, settings: GeneratorSettings) -> Any:
    """Returns the sampler that the settings name, with the values of the folder's where they name no other.

    Args:
        folder: of the model, for messages.
        given: the sampler of the folder.
        settings: how to draw.

    Raises:
        ConfigError: the sampler has no such setting, or takes other numbers of steps.
        GeneratorError: it cannot sample with these values.
    """
    chosen: Any = settings.scheduler_class or type(given)
    options = settings.scheduler_options
    known = set(inspect.signature(chosen.__init__).parameters)
    unknown = sorted(set(options) - known)
    if unknown:
        # diffusers would drop them in silence
        raise ConfigError(
            f"generator.scheduler: {chosen.__name__} has no setting {', '.join(unknown)}; it has "
            f"{', '.join(sorted(known - {'self'}))}. Set it in {_WHERE}."
        )
    scheduler, on_trial = (_build(folder, chosen, given, settings) for _ in range(2))
    _check_samples(folder, on_trial, settings)
    return scheduler


def _build(folder: Path, chosen: Any, given: Any, settings: GeneratorSettings) -> Any:
    num, options = settings.num_inference_steps, settings.scheduler_options
    try:
        _refuse(folder, chosen, faults_of_values(chosen, {**given.config, **options}), settings)
        scheduler = chosen.from_config(given.config, **options)
        _refuse(folder, chosen, faults_of_noise(scheduler), settings)
        _set_timesteps(scheduler, 1)  # a fault of the values, not of how many steps there are
    except LOADING_FAULTS as error:
        raise _unusable(folder, chosen, f"{type(error).__name__}: {error}", settings) from error
    try:
        _set_timesteps(scheduler, num)
    except ValueError as error:
        raise ConfigError(
            f"generator.num_inference_steps: got {num}; {chosen.__name__} takes other numbers: {error} "
            f"Set it in {_WHERE}."
        ) from error
    return scheduler


def _set_timesteps(scheduler: Any, num: int) -> None:
    # diffusers' own calls compute the shift from the size of the image
    shifted = scheduler.config.get("use_dynamic_shifting", False)
    scheduler.set_timesteps(num, **({"mu": 1.0} if shifted else {}))


def _check_samples(folder: Path, scheduler: Any, settings: GeneratorSettings) -> None:
    """Takes all steps with a small noise in place of latents and predictions."""
    options: dict[str, Any] = {"return_dict": False}
    generator = torch.Generator().manual_seed(0)
    if "generator" in inspect.signature(scheduler.step).parameters:
        options["generator"] = generator
    try:
        with torch.random.fork_rng(devices=[]):  # of one that draws from the global state
            scale = getattr(scheduler, "init_noise_sigma", 1.0)
            sample = torch.randn(TRIAL_SHAPE, generator=generator) * scale
            for timestep in scheduler.timesteps:
                predicted = torch.randn(TRIAL_SHAPE, generator=generator)
                sample = scheduler.step(predicted, timestep, sample, **options)[0]
    except LOADING_FAULTS as error:
        raise _unusable(folder, type(scheduler), f"{type(error).__name__}: {error}", settings) from error
    if not torch.isfinite(sample).all():
        raise _unusable(folder, type(scheduler), "its values are not finite", settings)


def _refuse(folder: Path, chosen: Any, faults: list[str], settings: GeneratorSettings) -> None:
    if faults:
        raise _unusable(folder, chosen, "; ".join(faults), settings)


def _unusable(folder: Path, chosen: Any, fault: str, settings: GeneratorSettings) -> GeneratorError:
    options = settings.scheduler_options
    changed = f", with {options} of generator.scheduler in {_WHERE}" if options else ""
    return GeneratorError(
        f"{folder / 'scheduler' / 'scheduler_config.json'}{changed}: {chosen.__name__} cannot sample with "
        f"these values ({fault}). {hint_of(folder, settings.repository)}"
    )
