"""What an exception was raised from: Kedro wraps what datasets and nodes raise."""

import sys
from collections.abc import Iterator
from typing import TypeVar

Kind = TypeVar("Kind", bound=BaseException)

_OURS = {"pipelines", "stablerep"}


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yields an exception and what it was raised from, each once: a chain may lead back to itself."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        yield link
        seen.add(id(link))
        link = link.__cause__ or _wrapped_by_a_library(link)


def first_cause(error: BaseException, kind: type[Kind]) -> Kind | None:
    """Returns the first of a kind in a chain of exceptions, or None."""
    return next((link for link in causes(error) if isinstance(link, kind)), None)


def _wrapped_by_a_library(error: BaseException) -> BaseException | None:
    """Returns what a library wrapped without `from`, as MLflow and requests do; otherwise None.

    Our code says `from` where it wraps. What else is raised while our code handles an exception, such as a
    KeyError, is a fault of its own.
    """
    wrapped = error.__context__
    if wrapped is None or error.__suppress_context__ or wrapped.__traceback__ is None:
        return None
    # a traceback begins in the frame that caught the exception
    handler = str(wrapped.__traceback__.tb_frame.f_globals.get("__name__"))
    is_a_librarys = _package(type(error).__module__) not in _OURS | set(sys.stdlib_module_names)
    return wrapped if is_a_librarys and _package(handler) not in _OURS else None


def _package(module: str) -> str:
    return module.partition(".")[0]
