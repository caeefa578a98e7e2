"""Makes what an entry of the configuration names by `_target_`; a fault names the entry's key."""

from typing import Any


def build(key: str, entry: dict[str, Any], where: str) -> Any:
    """Returns the object of an entry.

    Args:
        key: the entry's full key, for messages.
        entry: `_target_` and its arguments.
        where: the file in which to set it, for messages.

    Raises:
        ConfigError: there is no such class, or it refuses its arguments.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    from stablerep.errors import ConfigError, StableRepError

    try:
        return instantiate(entry, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, StableRepError):
            raise error.__cause__ from None  # its own message is whole; `from error` would close a circle
        reason = " ".join(str(error.__cause__ or error).split())
        raise ConfigError(f"{key}: got {entry!r}; {reason}. Set it in {where}.") from error


def build_method(name: str, entry: dict[str, Any]) -> Any:
    """Returns the method of an entry of `method`."""
    return build(f"method.{name}", entry, f"conf/params/method/{name}.yaml")
