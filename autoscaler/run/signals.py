"""Operating-system signals as two facts: stop, and reload."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

STOP = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """SIGTERM and SIGINT set `stop`; SIGHUP calls `reload`. A second SIGINT interrupts as ever."""

    def __init__(self, reload: Callable[[], None]) -> None:
        self.stop = asyncio.Event()
        self.received: str | None = None
        self._reload = reload
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Signals:
        for number in STOP:
            self._loop.add_signal_handler(number, self._stopped, number)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (*STOP, signal.SIGHUP):
            self._loop.remove_signal_handler(number)

    def _stopped(self, number: signal.Signals) -> None:
        self.received = number.name
        self.stop.set()
        self._loop.remove_signal_handler(signal.SIGINT)
