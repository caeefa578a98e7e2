"""What an exception was raised from: Kedro wraps what datasets and nodes raise."""

from collections.abc import Iterator
from typing import TypeVar

Kind = TypeVar("Kind", bound=BaseException)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yields an exception and what it came from, each once: a chain may lead back to itself."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        yield link
        seen.add(id(link))
        link = link.__cause__ or link.__context__


def first_cause(error: BaseException, kind: type[Kind]) -> Kind | None:
    """Returns the first of a kind in a chain of exceptions, or None."""
    return next((link for link in causes(error) if isinstance(link, kind)), None)
