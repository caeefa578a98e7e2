"""A signal to stop, as schedulers send it: the step is finished, its state is kept, and the run ends."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from stablerep.errors import StoppedError


class StopSignal:
    """Receives SIGTERM while it is entered, and records it instead of ending the process.

    Make one per run and give it to every arm: an arm that has not started when the signal comes does not
    start. It may be entered again after it was left. In a thread other than the main one Python receives no
    signals, and SIGTERM ends the process as usual.

    Attributes:
        asked: whether the signal came.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> "StopSignal":
        """Starts to receive the signal."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restores the signal's handler."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def check_not_asked(self, arm: str) -> None:
        """Raises StoppedError if the signal came before an arm started."""
        if self.asked:
            raise StoppedError(f"arm {arm!r}: stopped by a signal before it started; run the command again.")

    def error(self, arm: str, step: int, num_steps: int, kept: bool) -> StoppedError:
        """Returns the error to raise after the step that was running."""
        rest = "run the same command again: it continues from there" if kept else "no state was kept"
        return StoppedError(f"arm {arm!r}: stopped by a signal after step {step} of {num_steps}; {rest}.")
