"""The thread that takes the items of an iterable.

It is a thread of Python, so that the interpreter can end it when it exits while the iterable blocks.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

from ._native import Feeder


def start(feeder: Feeder, items: Iterator[object]) -> threading.Thread:
    """Start the thread, and return it."""
    thread = threading.Thread(
        target=_feed, args=(feeder, items), name="portmuster-targets", daemon=True
    )
    thread.start()
    return thread


def _feed(feeder: Feeder, items: Iterator[object]) -> None:
    try:
        # As a loop over the items, but in C: push raises StopIteration when the run needs no more.
        deque(map(feeder.push, items), maxlen=0)
    except BaseException as error:
        feeder.fail(error)
    else:
        feeder.end()
