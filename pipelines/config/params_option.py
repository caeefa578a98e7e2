"""Reads `--params`: raw items in their order, so that a group and its keys can share a name.

Kedro's own reading makes `generator=sdxl_turbo,generator.guidance_scale=0` one nested mapping, in which the
choice of the group is lost. It also splits at every comma, and a list such as method=[simclr,clip] has one.
"""

from collections.abc import Iterator
from typing import Any

from omegaconf import OmegaConf

from pipelines.config.yaml_files import NotYamlError, in_plain_words
from stablerep.errors import ConfigError, shortened

_OPENING, _CLOSING = "[{(", "]})"


def parse_params(text: str, option: str = "--params") -> dict[str, Any]:
    """Returns the items of `generator=sdxl_turbo,generator.size_px=256` by their dotted keys, in their order.

    Values are typed as in YAML: numbers, true, null, lists and mappings in brackets, else a string.
    Of several items with one key the last one counts.

    Args:
        text: as it was typed.
        option: for messages.

    Raises:
        ConfigError: an item without `=` or key, a value that is no YAML, or a colon without a space after it.
    """
    found: dict[str, Any] = {}
    for item in _split(text):
        if not item.strip():
            continue
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not key:
            raise ConfigError(
                f"{option}: got {shortened(item)}; must be key=value, items separated by commas."
            )
        found.pop(key, None)
        try:
            found[key] = _typed(value)
        except NotYamlError as error:
            raise ConfigError(
                f"{option}: got {shortened(item)}; its value {error.what}. Values are YAML on one line: a "
                "number, true, null, text, [a, b] or {key: value}."
            ) from error
    return found


def _typed(text: str) -> Any:
    with in_plain_words(text):
        # omegaconf's YAML, as in the files: 2e-4 is a number there
        values: Any = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))
    value = values["value"]
    glued = next(_glued_keys(value), None)
    if glued:
        name, _, inner = glued.partition(":")
        raise NotYamlError(f"has {glued!r}, where a space is missing: must be `{name}: {inner}`")
    return value


def _glued_keys(value: Any) -> Iterator[str]:
    """Yields what stands for `key: value` without the space: YAML takes it for a key that has no value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if inner is None and isinstance(key, str) and ":" in key.strip(":"):
                yield key
            yield from _glued_keys(inner)
    elif isinstance(value, list):
        for each in value:
            yield from _glued_keys(each)


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
