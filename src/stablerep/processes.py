"""Processes that work for a main one."""

import logging
import multiprocessing
import os
import threading
import time
from contextlib import suppress


def end_with_parent() -> None:
    """Ends this worker when its main process is killed; it would go on, and then wait for work for ever."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def log_to_terminal() -> None:
    """Has this worker's log go to standard error, which it shares with its main process; the first time."""
    project = logging.getLogger("stablerep")
    if not project.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
        project.addHandler(handler)
        project.setLevel(logging.INFO)


def end_with(process_id: int) -> None:
    """Ends this process when another one of this machine, that is no parent of it, is gone."""
    threading.Thread(target=_wait_for, args=(process_id,), daemon=True).start()


def _wait_for(process_id: int) -> None:
    with suppress(ProcessLookupError):
        while True:
            os.kill(process_id, 0)  # 0 sends nothing: it asks whether it is there
            time.sleep(1.0)
    os._exit(1)


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
