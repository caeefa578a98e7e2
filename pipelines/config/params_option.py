"""Reads `--params`: raw items in their order, so that a group and its keys can share a name.

Kedro's own reading makes `generator=sdxl_turbo,generator.guidance_scale=0` one nested mapping, in which the
choice of the group is lost. It also splits at every comma, and a list such as method=[simclr,clip] has one.
"""

from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from stablerep.errors import ConfigError

_OPENING, _CLOSING = "[{(", "]})"


def parse_params(text: str) -> dict[str, Any]:
    """Returns the items of `generator=sdxl_turbo,generator.size_px=256` by their dotted keys, in their order.

    Values are typed as in YAML: numbers, true, null, lists and mappings in brackets, else a string.
    Of several items with one key the last one counts.

    Raises:
        ConfigError: an item without `=` or key, or a value that is no YAML.
    """
    found: dict[str, Any] = {}
    for item in _split(text):
        if not item.strip():
            continue
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not key:
            raise ConfigError(f"--params: got {item!r}; must be key=value, items separated by commas.")
        found.pop(key, None)
        found[key] = _typed(item, value)
    return found


def _typed(item: str, text: str) -> Any:
    try:
        # omegaconf's YAML, as in the files: 2e-4 is a number there
        values: Any = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))
    except (YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"--params: got {item!r}; must hold a YAML value: {error}") from error
    return values["value"]


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
