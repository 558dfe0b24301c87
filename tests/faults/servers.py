"""Triton servers as fluid: what comes in, what is served, what waits; and what a scrape shows."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from autoscaler.model import Missing, ModelSignals, Sample, Signal, Windows

CAPACITY = 100.0  # requests/s that one replica serves
SERVICE = 0.02  # seconds inside the GPU
CALM_WAIT = 0.006  # seconds in the queue of a server with room to spare
QUEUE = 2000.0  # beyond it requests are refused, and no counter tells
SCRAPE = 10.0
WINDOWS = Windows(fast=4 * SCRAPE, slow=8 * SCRAPE)
NAN = float("nan")
NO_RATE = Missing("fewer than two scrapes")


class Scrape(NamedTuple):
    """Triton's counters at one moment (true seconds), and its pending gauge."""

    at: float
    arrived: float
    served: float
    queued: float  # seconds, of all requests together
    pending: float


@dataclass
class Server:
    """Counters move with `step`; `scrape` keeps them."""

    backlog: float = 0.0
    arrived: float = 0.0
    served: float = 0.0
    queued: float = 0.0
    pending: float = 0.0
    scrapes: deque[Scrape] = field(default_factory=lambda: deque(maxlen=9))

    @property
    def full(self) -> bool:
        return self.backlog >= QUEUE

    def step(self, rate: float, seconds: float) -> None:
        room = QUEUE - self.backlog + CAPACITY * seconds
        came = min(rate * seconds, room)
        done = min(self.backlog + came, CAPACITY * seconds)
        before, self.backlog = self.backlog, self.backlog + came - done
        self.arrived += came
        self.served += done
        # Little: the requests that wait are the seconds of waiting that each second adds.
        self.queued += (before + self.backlog) / 2 * seconds + done * CALM_WAIT
        self.pending = self.backlog + done / seconds * SERVICE

    def scrape(self, at: float) -> None:
        self.scrapes.append(Scrape(at, self.arrived, self.served, self.queued, self.pending))

    def signals(self, until: float, ahead: float, *, nan: bool = False) -> ModelSignals | None:
        """As of the newest scrape until then; None before the first. `ahead`: the reader's clock
        before the true one, in seconds: a source tells times by its reader's clock.
        """
        known = [one for one in self.scrapes if one.at <= until]
        if not known:
            return None
        last = known[-1]
        fast = [one for one in known if one.at >= last.at - WINDOWS.fast]
        slow = [one for one in known if one.at >= last.at - WINDOWS.slow]

        def told(value: float, window: float = 0.0) -> Signal:
            return Sample(NAN if nan else value, last.at + ahead, window)

        def rate(scrapes: list[Scrape], counter: int, window: float) -> Signal:
            span = last.at - scrapes[0].at
            return told((last[counter] - scrapes[0][counter]) / span, window) if span else NO_RATE

        return ModelSignals(
            "resnet50",
            arrivals=rate(fast, 1, WINDOWS.fast),
            arrivals_slow=rate(slow, 1, WINDOWS.slow),
            completions=rate(fast, 2, WINDOWS.fast),
            completions_slow=rate(slow, 2, WINDOWS.slow),
            queueing=rate(fast, 3, WINDOWS.fast),
            queueing_slow=rate(slow, 3, WINDOWS.slow),
            rejected=told(0.0, WINDOWS.fast),
            pending=told(last.pending),
            pending_floor=told(min(one.pending for one in fast), WINDOWS.fast),
            pending_peak=told(max(one.pending for one in slow), WINDOWS.slow),
        )
