"""Reads `--params`: Kedro splits at every comma, and a list such as method=[simclr,clip] has one."""

from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from stablerep.errors import ConfigError

_OPENING, _CLOSING = "[{(", "]})"


def parse_params(text: str) -> dict[str, Any]:
    """Returns the nested mapping of `a.b=1,method=[simclr,clip]`; values are typed as in YAML.

    Raises:
        ConfigError: an item without `=` or key, or a value that is no YAML.
    """
    items = [item for item in _split(text) if item.strip()]
    for item in items:
        key, equals, _ = item.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--params: got {item!r}; must be key=value, items separated by commas.")
    try:
        config = OmegaConf.from_dotlist([item.strip() for item in items])
    except (YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"--params: got {text!r}; must hold YAML values: {error}") from error
    values = OmegaConf.to_container(config)
    assert isinstance(values, dict)  # noqa: S101 -- from_dotlist makes nothing else
    return {str(key): value for key, value in values.items()}


def _split(text: str) -> list[str]:
    """Splits at the commas that stand outside of brackets."""
    items, depth = [""], 0
    for char in text:
        depth += (char in _OPENING) - (char in _CLOSING)
        if char == "," and depth == 0:
            items.append("")
        else:
            items[-1] += char
    return items
