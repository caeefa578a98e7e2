"""Which of the known names a misspelled one was meant to be."""

import difflib
from collections.abc import Iterable

_MAX_LISTED = 30  # names in one message


def nearest_name(name: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Returns the known name that is most like `name`, or None where none is near.

    Args:
        name: as it was given.
        known: names to choose from.
        cutoff: similarity from 0 to 1 that is near enough (`difflib.SequenceMatcher.ratio`).

    Example:
        >>> nearest_name("guidance_scal", ["dtype", "guidance_scale"])
        'guidance_scale'
    """
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=cutoff)
    return close[0] if close else None


def must_be_one_of(name: str, known: Iterable[str]) -> str:
    """Returns the end of an error's sentence: the known names and, where one is near, a question about it."""
    names = sorted(known)
    listed = ", ".join(names[:_MAX_LISTED])
    if len(names) > _MAX_LISTED:
        listed += f" and {len(names) - _MAX_LISTED} more"
    near = nearest_name(name, names)
    hint = f" Did you mean {near!r}?" if near else ""
    return f"must be one of {listed}.{hint}"
