"""Processes that work for a main one."""

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """Ends this worker when its main process is killed; it would go on, and then wait for work for ever."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
