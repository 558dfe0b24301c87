"""What must survive between ticks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from autoscaler.model.forecast import NO_FORECASTS, ForecastMemory
from autoscaler.model.form import WIRE


@dataclass(frozen=True, slots=True)
class Recommendation:
    __pydantic_config__ = WIRE
    at: float
    replicas: int


@dataclass(frozen=True, slots=True)
class ScaleEvent:
    __pydantic_config__ = WIRE
    at: float
    change: int
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """A change that was decided and is not yet seen in the world.

    It becomes a scale event, and starts the cooldown, only once the target's replicas have left
    `before`: a write that failed, or a dry run, never blocks the next decision.
    """

    __pydantic_config__ = WIRE
    at: float
    before: int
    after: int
    longest_period: float | None  # of that direction's policies then; None: no behavior
    sent: bool = False  # the write came through; it may be undone before anybody looks


@dataclass(frozen=True, slots=True)
class Bracket:
    """Learned capacity: requests/s per replica seen to keep the SLA, and seen to break it."""

    __pydantic_config__ = WIRE
    kept: float | None = None
    kept_at: float | None = None
    broken: float | None = None
    broken_at: float | None = None
    # The SLA was kept at the size that `kept` asks for, last; None: not since kept_at.
    kept_confirmed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Tested:
    """The bracket in shares of the policy's own capacity: 0.74 of it broke the SLA."""

    __pydantic_config__ = WIRE
    capacity: str
    bracket: Bracket = Bracket()


@dataclass(frozen=True, slots=True)
class Software:
    """What the pods ran when capacity was learned. `versions` by model, those of 1 alone left out.

    `became`: what changed at `seen_at`, in words, where something learned was forgotten for it.
    """

    __pydantic_config__ = WIRE
    seen_at: float  # first
    image: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    became: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """The last size that we wrote and that was then seen."""

    __pydantic_config__ = WIRE
    at: float
    replicas: int


@dataclass(frozen=True, slots=True)
class Contest:
    """Somebody else changed the replicas: when, from what to what, and the policy of then."""

    __pydantic_config__ = WIRE
    at: float
    before: int
    after: int
    policy_hash: str
    who: str = ""


@dataclass(frozen=True, slots=True)
class Unseen:
    """Our last order where it was not seen to be carried out.

    An answer may be lost and the write land all the same; and who sets the size back within a
    tick, time after time, is only noticed by the order that never shows.
    """

    __pydantic_config__ = WIRE
    order: Order
    overwritten: bool = False  # somebody else wrote the replicas meanwhile


@dataclass(frozen=True, slots=True)
class Arrival:
    """A pod that was seen and was never Ready yet, and when it was decided to have it.

    Not `measured`: when it began is not known for sure, so its Ready is no cold start.
    """

    __pydantic_config__ = WIRE
    pod: str
    at: float
    measured: bool = True


@dataclass(frozen=True, slots=True)
class ColdStart:
    """One pod's way to Ready in seconds: decision → scheduled → started (pulled) → Ready."""

    __pydantic_config__ = WIRE
    at: float  # Unix time of Ready
    scheduling: float
    pulling: float
    loading: float

    @property
    def total(self) -> float:
        return self.scheduling + self.pulling + self.loading


@dataclass(frozen=True, slots=True)
class PoolMemory:
    """What was asked of the pool: when more was last asked for and not yet seen, and given up."""

    __pydantic_config__ = WIRE
    asked_at: float | None = None  # more was asked for then, and has not come
    asked_nodes: int = 0  # nodes that were there then
    lost_since: float | None = None  # nothing came for twice the cold start
    idle_since: float | None = None  # less would have done since
    fallback_idle_since: float | None = None  # likewise of the fallback


@dataclass(frozen=True, slots=True)
class State:
    __pydantic_config__ = WIRE
    version: Literal[1] = 1
    recommendations: tuple[Recommendation, ...] = ()
    scale_ups: tuple[ScaleEvent, ...] = ()
    scale_downs: tuple[ScaleEvent, ...] = ()
    scaled_at: float | None = None  # last change of the target's replicas, by whomever
    replicas: int | None = None  # as last observed
    serving: int | None = None  # Ready pods as last observed
    joined_at: float | None = None  # when serving last grew
    order: Order | None = None
    blind_since: float | None = None
    calm_since: float | None = None  # queue time has been below lowerBelow since
    bracket: Bracket = Bracket()
    tested: Tested | None = None  # where the policy gives a capacity
    software: Software | None = None
    written: Written | None = None
    unseen: Unseen | None = None
    writer: str | None = None  # who else wrote the replicas last, as last observed
    contest: Contest | None = None
    replaced: tuple[str, ...] = ()  # pods about to be lost whose replacement was ordered
    arrivals: tuple[Arrival, ...] = ()  # the last 64, oldest first
    cold_starts: tuple[ColdStart, ...] = ()  # the last 32, oldest first
    pool: PoolMemory = PoolMemory()
    forecast: ForecastMemory = NO_FORECASTS
