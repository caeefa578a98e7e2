"""A run that gets SIGTERM ends as an interrupted one does: tracked as killed, files whole."""

import multiprocessing
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 128 + signal.SIGTERM  # as a shell tells it


class Terminated(BaseException):
    """The process was told to end; no Exception, so that nothing mistakes it for a fault of its own."""


@contextmanager
def raising_on_termination() -> Iterator[None]:
    """Raises Terminated in the block when SIGTERM comes, after passing it on to child processes.

    Children have no terminal that would tell them, and a pool waits for what its workers have begun. A second
    SIGTERM ends the process at once. Handlers may be nested: the one before is put back. Does nothing outside
    of the main thread, where Python takes no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _raise(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for child in multiprocessing.active_children():
        child.terminate()
    raise Terminated
