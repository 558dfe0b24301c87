"""One simulated Triton server: a queue, dynamic batching, one GPU, and Triton's own counters.

Batch by batch rather than request by request: an execution of b requests is one event, the
requests that came meanwhile are one Poisson draw. 900 s of a fleet at 5,000 requests/s are about
400,000 executions instead of 5,000,000 requests.

The figures are those of a BERT-large-shaped model on an H200 (Triton 2.51, Python backend, at most
32 requests a batch), read off the project's own recordings `h200-bert-large-4gpu` and `-1gpu`:

    an execution takes     t(b) = max(6.75, 4.4 + 0.28·b + 0.006·b²) ms   → b = 24: 14.6, 32: 19.5
    so at most             32 / 19.5 ms = 1,640 requests/s   (recorded: 1,615 to 1,692)
    of it the GPU is busy  1.1 + 0.48·b ms                   → b = 6: 0.59 of t, b = 32: 0.85
    and queue time reads   7, 8.5, 10 and 25 ms at 800, 1,440, 1,520 and 1,600 requests/s
                           (recorded: 6.7, 8.1, 10.7 and 25)
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from autoscaler.sim.draws import poisson


@dataclass(frozen=True, slots=True)
class ServerProfile:
    """What one server can do. Seconds throughout; defaults are the recorded H200's."""

    max_batch: int = 32
    max_queue: int = 512  # Triton's max_queue_size; beyond it requests are refused
    floor: float = 6.75e-3  # an execution never takes less: launch and Python overhead
    base: float = 4.4e-3
    per_request: float = 0.28e-3
    per_square: float = 6e-6
    gpu_base: float = 1.1e-3
    gpu_per_request: float = 0.48e-3
    jitter: float = 0.05  # relative standard deviation of one execution's time
    # Ten times in 100 s an execution takes 30 ms longer: the recorded p99 of single quiet steps is
    # 32 to 54 ms, and without it a server at 95 % would read far calmer than the real one.
    hiccups_per_second: float = 0.1
    hiccup: float = 30e-3
    batch_delay: float = 1e-3  # max_queue_delay_microseconds: an idle server waits this long
    # A batch is handed to the instance before the one ahead of it ends, so who comes in the last
    # 3.2 ms waits one execution longer: queue time is t/2 + 3.2 ms = 7 ms with room to spare,
    # as recorded; sealing at the last moment would give 3.4 ms.
    hand_over: float = 3.2e-3

    @property
    def capacity(self) -> float:
        """Requests/s at full batches: the most this server answers."""
        return self.max_batch / self.service(self.max_batch)

    def service(self, batch: int) -> float:
        curve = self.base + self.per_request * batch + self.per_square * batch**2
        return max(self.floor, curve)


@dataclass(slots=True)
class Counters:
    """Triton's counters, moving only when an execution completes. Durations in seconds."""

    success: int = 0
    executions: int = 0
    request: float = 0.0
    queue: float = 0.0
    compute_input: float = 0.0
    compute_infer: float = 0.0
    compute_output: float = 0.0
    gpu_busy: float = 0.0
    energy: float = 0.0  # joules


@dataclass(slots=True)
class Tally:
    """What the clients know and no counter of Triton's shows."""

    sent: int = 0
    refused: int = 0  # at a full queue; in no nv_* counter, as recorded 49,236 times
    late: float = 0.0  # answered, but queued longer than `patience`


@dataclass(slots=True)
class _Arrivals:
    """n requests, evenly spread over [first, last]."""

    count: int
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class _Execution:
    ends: float
    batch: int
    waited: float
    late: float
    took: float


class TritonServer:
    """Advance it in steps; set `rate` (requests/s arriving) between them."""

    def __init__(
        self, random: Random, at: float, profile: ServerProfile, patience: float = math.inf
    ) -> None:
        self.rate = 0.0
        self.counters = Counters()
        self.tally = Tally()
        self.gpu_utilization = 0.0
        self.power = power_draw(0.0)
        # Told of each execution: its requests as (how many, shortest wait, longest wait), evenly
        # between the two, and its seconds.
        self.on_execution: Callable[[Sequence[tuple[int, float, float]], float], None] | None = None
        self._random = random
        self._profile = profile
        self._patience = patience
        self._queue: deque[_Arrivals] = deque()
        self._waiting = 0
        self._seen = at  # arrivals are drawn up to here
        self._free_at = at
        self._sealed = 0  # requests of the batch that waits for the instance
        self._sealed_at = at
        self._running: _Execution | None = None
        self._sampled_at = at
        self._sampled_busy = 0.0

    @property
    def pending(self) -> int:
        """Requests awaiting execution: nv_inference_pending_request_count."""
        return self._waiting

    @property
    def in_flight(self) -> int:
        """Requests that would be lost if the server died now."""
        return self._waiting + (self._running.batch if self._running else 0)

    def advance(self, until: float) -> None:
        """Run to `until`: executions that end by then are counted, later ones are under way."""
        while True:
            if not self._sealed and not self._seal(until):
                break
            start = max(self._free_at, self._sealed_at)
            if start > until:
                break
            self._complete()
            self._execute(start)
        self._arrive(until)
        if self._running and self._running.ends <= until:
            self._complete()

    def sample_gpu(self, at: float) -> None:
        """What the metrics thread does every second: mean utilisation since the last sample."""
        elapsed = at - self._sampled_at
        if elapsed <= 0:
            return
        busy = self.counters.gpu_busy - self._sampled_busy
        self.gpu_utilization = min(1.0, busy / elapsed)
        self.power = power_draw(self.gpu_utilization)
        self.counters.energy += self.power * elapsed
        self._sampled_at, self._sampled_busy = at, self.counters.gpu_busy

    def _seal(self, until: float) -> bool:
        """Form the next batch, if its moment comes before `until`."""
        profile = self._profile
        if not self._waiting:
            self._arrive(min(until, max(self._seen, self._free_at - profile.hand_over)))
        if not self._waiting:
            if self.rate <= 0:
                return False
            first = self._seen + self._random.expovariate(self.rate)
            if first > until:  # memoryless: the next step may draw afresh
                self._seen = max(self._seen, until)
                return False
            self._seen = first
            self._admit(1, first, first)
        at = max(self._free_at - profile.hand_over, self._queue[0].first + profile.batch_delay)
        if at > until:
            return False
        self._arrive(at)
        self._sealed = min(self._waiting, profile.max_batch)
        self._sealed_at = at
        return True

    def _arrive(self, until: float) -> None:
        if until <= self._seen:
            return
        count = poisson(self._random, self.rate * (until - self._seen))
        if count:
            self._admit(count, self._seen, until)
        self._seen = until

    def _admit(self, count: int, first: float, last: float) -> None:
        self.tally.sent += count
        accepted = min(count, self._profile.max_queue - self._waiting)
        self.tally.refused += count - accepted
        if accepted:
            self._queue.append(_Arrivals(accepted, first, last))
            self._waiting += accepted

    def _execute(self, start: float) -> None:
        batch, self._sealed = self._sealed, 0
        waited = late = 0.0
        waits: list[tuple[int, float, float]] = []
        left = batch
        while left:
            arrivals = self._queue[0]
            if arrivals.count <= left:
                self._queue.popleft()
                taken, first, last = arrivals.count, arrivals.first, arrivals.last
            else:
                taken, first = left, arrivals.first
                last = first + (arrivals.last - first) * taken / arrivals.count
                arrivals.first, arrivals.count = last, arrivals.count - taken
            left -= taken
            waited += taken * (start - (first + last) / 2)
            late += taken * _share_later(start - last, start - first, self._patience)
            waits.append((taken, start - last, start - first))
        self._waiting -= batch
        profile = self._profile
        took = profile.service(batch) * max(0.5, 1 + profile.jitter * self._random.gauss(0, 1))
        self._free_at = start + took
        if self._random.random() < profile.hiccups_per_second * took:
            self._free_at += profile.hiccup
        self._running = _Execution(self._free_at, batch, waited, late, took)
        if self.on_execution is not None:
            self.on_execution(waits, self._free_at - start)

    def _complete(self) -> None:
        done, self._running = self._running, None
        if done is None:
            return
        batch = done.batch
        # Recorded per request: input 0.03 + 0.007·b ms, output 0.07 + 0.016·b ms; 0.25 ms of
        # an execution lie between the batches and are in no duration.
        into, out = 0.03e-3 + 0.007e-3 * batch, 0.07e-3 + 0.016e-3 * batch
        infer = max(0.0, done.took - 0.25e-3)
        counters = self.counters
        counters.success += batch
        counters.executions += 1
        counters.queue += done.waited
        counters.compute_input += batch * into
        counters.compute_infer += batch * infer
        counters.compute_output += batch * out
        counters.request += done.waited + batch * (into + infer + out)
        counters.gpu_busy += self._profile.gpu_base + self._profile.gpu_per_request * batch
        self.tally.late += done.late


def _share_later(shortest: float, longest: float, limit: float) -> float:
    """The share of waits, even between shortest and longest, that exceed the limit."""
    if longest <= limit:
        return 0.0
    if shortest >= limit:
        return 1.0
    return (longest - limit) / (longest - shortest)


# (utilisation, watts) as recorded on an H200 of 700 W; the idle point is a guess.
_POWER = ((0.0, 110.0), (0.32, 222.0), (0.54, 387.0), (0.74, 565.0), (0.85, 682.0), (1.0, 700.0))


def power_draw(utilization: float) -> float:
    """Watts at a GPU utilisation, linear between the recorded points."""
    for (low, below), (high, above) in pairwise(_POWER):
        if utilization <= high:
            return below + (above - below) * (utilization - low) / (high - low)
    return _POWER[-1][1]
