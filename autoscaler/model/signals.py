"""What is measured: samples, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from autoscaler.model.form import WIRE


@dataclass(frozen=True, slots=True)
class Sample:
    """A measured value: `at` is when it was measured, `window` the seconds it averages over.

    A window of 0 is an instantaneous reading (a gauge).
    """

    __pydantic_config__ = WIRE
    value: float
    at: float
    window: float = 0.0


@dataclass(frozen=True, slots=True)
class Missing:
    """A value that is not known, with the reason in words. Never read as 0."""

    __pydantic_config__ = WIRE
    missing: str


Signal: TypeAlias = Sample | Missing

NOT_MEASURED = Missing("not measured")


@dataclass(frozen=True, slots=True)
class ModelSignals:
    """One model in one pod, all versions together.

    *fast* signals average over the shortest trustworthy window (`Windows.fast`) and may raise;
    *slow* ones average over `Windows.slow` and are what lowering must also agree with.
    """

    __pydantic_config__ = WIRE
    model: str
    # requests/s that arrived = completed + failed + change of pending (requests refused at a
    # full queue are in no counter: see pending_peak and decide.gates)
    arrivals: Signal = NOT_MEASURED
    arrivals_slow: Signal = NOT_MEASURED
    # requests/s that completed successfully
    completions: Signal = NOT_MEASURED
    completions_slow: Signal = NOT_MEASURED
    # seconds of queueing accumulated per second = Δqueue_duration/Δt, the mean number of
    # requests waiting (Little); queue time per request = queueing / completions
    queueing: Signal = NOT_MEASURED
    queueing_slow: Signal = NOT_MEASURED
    # requests/s that Triton itself counted as turned away (failure, reason REJECTED)
    rejected: Signal = NOT_MEASURED
    # requests inside the server that have no answer yet: last sample, the lowest of the fast
    # window, the highest of the slow window
    pending: Signal = NOT_MEASURED
    pending_floor: Signal = NOT_MEASURED
    pending_peak: Signal = NOT_MEASURED
    # versions that serve, 1 left out: "2", "2,10"; None where it is 1 alone, or not known
    versions: str | None = None
