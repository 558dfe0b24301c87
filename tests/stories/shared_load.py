"""Clients that share their requests among the Ready pods of one Deployment, as pages tell it."""

from __future__ import annotations

from collections.abc import Callable

from tests.stories.hpa_pages import Load, Pages

CAPACITY = 100.0
"""Requests/s that one pod answers; what comes beyond that waits."""


class SharedLoad(Pages):
    """`total` requests/s of all clients; `ready` names the pods that they find."""

    def __init__(self, ready: Callable[[], list[str]]) -> None:
        self.total = 0.0
        self._ready = ready
        super().__init__(None, pods=ready)  # type: ignore[arg-type] -- the pods are all it needs

    def text(self) -> str:
        each = self.total / max(1, len(self._names()))
        waiting = max(0.0, each - CAPACITY)
        # A second's worth of what is too much waits at any time: 60 more a second wait 0.6 s.
        queue_us = 8_000 + 1e6 * waiting / CAPACITY
        self.usual = {"flowers": Load(min(each, CAPACITY), queue_us, waiting)}
        return super().text()
