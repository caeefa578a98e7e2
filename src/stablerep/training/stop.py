"""A signal to stop, as schedulers send it: the step is finished, its state kept, and the run ends."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, ClassVar

from stablerep.errors import StoppedError


class StopSignal:
    """Takes SIGTERM while it is entered, and remembers it instead of dying of it.

    In a thread that is not the main one Python takes no signals, and the process dies as it would without.

    Attributes:
        asked: whether it came.
        taken: whether it ever came to this process: what has not begun then does not begin.
    """

    taken: ClassVar[bool] = False

    def __init__(self) -> None:
        """Takes nothing yet."""
        self.asked = StopSignal.taken
        self._before: Any = None

    def __enter__(self) -> "StopSignal":
        """Takes the signal."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves the signal to whom it was before."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.asked = StopSignal.taken = True

    def error(self, arm: str, step: int, num_steps: int, kept: bool) -> StoppedError:
        """Returns what to raise after the step that was running."""
        rest = "run the same command again: it goes on from there" if kept else "no state was kept"
        return StoppedError(f"arm {arm!r}: stopped by a signal after step {step} of {num_steps}; {rest}.")
