"""Makes what an entry of the configuration names by `_target_`; a fault names the entry's key."""

from collections.abc import Mapping
from typing import Any

from pipelines.config.arguments import check_arguments, must_be_a


def build(key: str, entry: dict[str, Any], where: str) -> Any:
    """Returns the object of an entry.

    Args:
        key: the entry's full key, for messages.
        entry: `_target_` and its arguments.
        where: the file in which to set it, for messages.

    Raises:
        ConfigError: there is no such class, or it does not take its arguments.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    from stablerep.errors import ConfigError, StableRepError, shortened

    check_arguments(key, entry, where)
    try:
        return instantiate(entry, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, StableRepError):
            raise error.__cause__ from None  # its own message is whole; `from error` would close a circle
        reason = " ".join(str(error.__cause__ or error).split())
        raise ConfigError(f"{key}: got {shortened(entry)}; {reason}. Set it in {where}.") from error


def build_all(section: str, entries: Mapping[str, dict[str, Any]], kind: type, what: str) -> list[Any]:
    """Returns the objects of a section's entries, in the order of the configuration.

    Args:
        section: its name, which is also that of its folder in conf/params.
        entries: name -> `_target_` and its arguments.
        kind: class from which each must be derived.
        what: of a section each is, for the message, such as `an evaluation`.

    Raises:
        ConfigError: an entry is something else, or refuses its settings.
    """
    from stablerep.errors import ConfigError

    built = []
    for name, entry in entries.items():
        where = f"conf/params/{section}/{name}.yaml"
        made = build(f"{section}.{name}", entry, where)
        if not isinstance(made, kind):
            raise ConfigError(
                f"{section}.{name}._target_: {entry['_target_']} is a {type(made).__name__}; it must be "
                f"{what}, a class derived from {kind.__module__}.{kind.__name__}. Set it in {where}."
            )
        built.append(made)
    return built


def build_method(name: str, entry: dict[str, Any]) -> Any:
    """Returns the method of an entry of `method`."""
    from stablerep.methods.method import Method

    key, where = f"method.{name}", f"conf/params/method/{name}.yaml"
    return must_be_a(Method, build(key, entry, where), key, entry["_target_"], where)
