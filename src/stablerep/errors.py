"""The errors a user may see: what failed, what was got, what is allowed, what to do."""

from pathlib import Path


class StableRepError(Exception):
    """A fault the user can fix; its message stands on its own without a traceback."""


class ConfigError(StableRepError):
    """A setting is unknown, of the wrong type, out of range, or does not fit another one."""


class DataError(StableRepError):
    """A file or a table is missing, malformed, or has other content than it says."""


class GateError(DataError):
    """A data check failed before money was spent; names the rules and the rows.

    Attributes:
        page: what tells of it at length; None where nothing was written.
    """

    def __init__(self, message: str, page: Path | None = None) -> None:
        """Takes the message and the page."""
        super().__init__(message)
        self.page = page


class GeneratorError(StableRepError):
    """The text-to-image model is missing, incomplete, or cannot draw what it is asked for."""


class TrainingError(StableRepError):
    """A training run cannot go on, for instance because its loss is not finite."""


class StoppedError(StableRepError):
    """A signal asked the run to stop; its state is kept."""


class BusyError(StableRepError):
    """Another run holds the data folder."""


def shortened(value: object, length: int = 200) -> str:
    """Returns a value as a message shows it: as Python writes it, cut where it is long.

    Args:
        value: what was given.
        length: characters that are shown at most.
    """
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 places
        return f"an integer of {value.bit_length()} bits" if isinstance(value, int) else "a value"
    return text if len(text) <= length else f"{text[:length]}... ({len(text)} characters)"


def check_range(
    name: str,
    value: float,
    minimum: float | None = None,
    maximum: float | None = None,
    *,
    where: str = "",
) -> None:
    """Raises ConfigError unless minimum <= value <= maximum.

    Args:
        name: the setting's full key, such as `generator.guidance_scale`.
        value: what was given.
        minimum: lowest allowed value, or None for no bound.
        maximum: highest allowed value, or None for no bound.
        where: the file in which to set it, for the message.
    """
    hint = f" Set it in {where}." if where else ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{name}: got {shortened(value)}; must be a number.{hint}")
    # "not (a <= b)" rather than "a > b": NaN must fail both bounds
    low_ok = minimum is None or value >= minimum
    high_ok = maximum is None or value <= maximum
    if low_ok and high_ok:
        return
    bounds = [f">= {minimum:g}"] if minimum is not None else []
    bounds += [f"<= {maximum:g}"] if maximum is not None else []
    raise ConfigError(f"{name}: got {value!r}; must be {' and '.join(bounds)}.{hint}")
