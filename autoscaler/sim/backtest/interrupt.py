"""Ctrl-C at a moment of our choosing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Gives whether Ctrl-C came; nothing is raised inside.

    An exception in the middle of `concurrent.futures.wait` leaves the locks of its futures held:
    a worker that has an answer then waits for ever, and so does whoever waits for the worker.
    Only where Ctrl-C would be raised at all: in the main thread, and not where it is ignored.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield lambda: False
        return
    came = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: came.set())
    try:
        yield came.is_set
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
