"""What forecasts must remember: the load lately, its season, and how wrong they were."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.model.form import WIRE


@dataclass(frozen=True, slots=True)
class LoadAt:
    __pydantic_config__ = WIRE
    at: float  # Unix time
    load: float  # replicas' worth, before headroom


@dataclass(frozen=True, slots=True)
class Guess:
    """What the candidates said of the load at `at`; `plain` is that of no forecast at all."""

    __pydantic_config__ = WIRE
    at: float
    plain: float
    trend: float | None = None
    season: float | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """Sums over a candidate's guesses that were judged, older ones fading.

    `margin` is the loss of a constant margin that asks for as much: `raised` of `plain`.
    """

    __pydantic_config__ = WIRE
    guesses: float = 0.0  # how many count, faded likewise
    loss: float = 0.0
    margin: float = 0.0
    raised: float = 0.0  # replicas' worth asked for beyond the plain guesses
    plain: float = 0.0  # replicas' worth of those


@dataclass(frozen=True, slots=True)
class Season:
    """Mean load by bin of the period, None: never seen; and the bin under way."""

    __pydantic_config__ = WIRE
    bins: tuple[float | None, ...] = ()
    number: int = -1  # of the bin under way, since 1970
    total: float = 0.0
    count: int = 0


@dataclass(frozen=True, slots=True)
class ForecastMemory:
    __pydantic_config__ = WIRE
    lately: tuple[LoadAt, ...] = ()  # over the trend's look-back, oldest first
    season: Season = Season()
    guesses: tuple[Guess, ...] = ()  # not due yet, the next one first
    trend_score: Score = Score()
    season_score: Score = Score()


NO_FORECASTS = ForecastMemory()
