"""Whether a sampler can be built of its values and adds noise by them: diffusers computes with any."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch

_NUM_STEPS = "num_train_timesteps"
# diffusers replaces the last share by it where it would be 0, and the one before may be smaller
_LAST = 2**-24


def faults_of_values(kind: type, config: Mapping[str, Any]) -> list[str]:
    """Returns what is wrong with the values of a sampler's configuration, as phrases that name the keys.

    Args:
        kind: of the sampler.
        config: what its constructor is given. None stands for a value that is not used.
    """
    defaults = {name: each.default for name, each in inspect.signature(kind).parameters.items()}
    given = {name: config[name] for name in defaults if config.get(name) is not None}
    faults = [
        f"{name} is {value!r}; must be a number"
        for name, value in given.items()
        if _is_number(defaults[name]) and not _is_number(value)
    ]
    num = given.get(_NUM_STEPS, 1)
    if _is_number(num) and (num < 1 or num != int(num)):
        faults.append(f"{_NUM_STEPS} is {num}; must be a whole number >= 1")
    return faults


def faults_of_noise(scheduler: Any) -> list[str]:
    """Returns what is wrong with the noise that a sampler was built for, as phrases.

    `alphas_cumprod` is the share of the image's variance that is left after each step of training
    (arXiv:2006.11239, section 2): it falls and stays in [0, 1]. With zero terminal SNR (arXiv:2305.08891) the
    last one is 0. Flow matching has no such share.
    """
    if not hasattr(scheduler, "alphas_cumprod"):
        return []
    left = torch.as_tensor(scheduler.alphas_cumprod)
    falls = left[0] <= 1 and (left.diff() <= _LAST).all() and 0 <= left[-1] < 1
    betas = torch.as_tensor(scheduler.betas)  # with betas above 1 the share may fall as well
    if falls and betas.min() >= 0 and betas.max() <= 1:
        return []
    config = scheduler.config
    keys = ("beta_start", "beta_end") if config.get("trained_betas") is None else ("trained_betas",)
    shown = ", ".join(f"{key} {str(config.get(key)):.40}" for key in keys)
    return [
        f"its betas ({shown}) must be in [0, 1] and not all 0, so that alphas_cumprod, the share of the "
        "image that is left, falls and stays in [0, 1]"
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)
