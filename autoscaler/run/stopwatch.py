"""How long each stage of a tick took."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from autoscaler.units import format_duration


class Stopwatch:
    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._started = monotonic()
        self.stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = self._monotonic()
        try:
            yield
        finally:
            self.stages[name] = self._monotonic() - started

    def total(self) -> float:
        return self._monotonic() - self._started

    def slowest(self) -> str:
        name = max(self.stages, key=lambda stage: self.stages[stage], default="nothing")
        return f"{name} took {format_duration(self.stages.get(name, 0.0))}"
