"""What a backtest came to, in figures; everything that is shown is read off these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoscaler.model import Decision, Policy, Target
from autoscaler.sim.backtest.findings import Finding
from autoscaler.sim.backtest.replay import Said
from autoscaler.sim.plot import Points


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one fleet over the whole time. Seconds, requests, hours; `cost` None without a price.

    `minutes`: those with requests that are known; `missed`: those of them in which more than 1 %
    of the requests waited longer than sla.queueTime, were refused or lost. `certain`: missed by
    what was recorded alone, without an estimate of the tail; None for a model.
    """

    gpu_hours: float
    cost: float | None
    minutes: int
    missed: int
    certain: int | None
    ups: int
    downs: int
    mean_replicas: float
    most_replicas: int
    queue_time: float | None
    requests: float


@dataclass(frozen=True, slots=True)
class Error:
    """The model with the recorded replicas against the record, by rows of `seconds`.

    Of the absolute differences in queue time the median and the 90th percentile, of the signed
    ones the mean, in seconds. Minutes that both, only the record, only the model call missed.
    `across`: each half of the history by a server fitted to the other half.
    """

    rows: int
    seconds: float
    median: float | None
    p90: float | None
    bias: float | None
    both: int
    only_recorded: int
    only_model: int
    across: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """One policy: what it would have said over the record, and what a fleet that follows it
    would have come to, by the model. Points are (Unix time, value). `beyond`: minutes in which
    its replicas carry more than any replica was seen to carry.
    """

    policy: Policy
    said: Said
    figures: Figures
    changes: Sequence[Decision]
    replicas: Points
    queue_time: Points
    missed: Sequence[int]
    beyond: int


@dataclass(frozen=True, slots=True)
class Backtest:
    """`missed`: numbers of minutes since `start`, as recorded. `step` between scrapes, `tick`
    between decisions, in seconds. `unsure`: minutes in which the recorded fleet was at the end of
    its capacity, so that more may have come than was counted. `seconds`: what each stage took.
    """

    target: Target
    start: int
    end: int
    step: int
    tick: int
    prometheus: str
    queries: int
    cached: int
    bytes: int
    server: str
    capacity: float
    cold_start: float
    patience: float
    currency: str
    ran: Figures
    ran_modelled: Figures
    error: Error
    answers: Sequence[Answer]
    findings: Sequence[Finding]
    missed: Sequence[int]
    unsure: int
    load: Points
    replicas: Points
    queue_time: Points
    queue_time_modelled: Points
    seconds: Mapping[str, float]
