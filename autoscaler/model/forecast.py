"""What forecasts must remember: the load lately, its season and peaks, and how wrong they were."""

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
class Recent:
    """The load up to `at`, older looks fading: two means, and its highest by two memories.

    Replicas' worth, as everything here.
    """

    __pydantic_config__ = WIRE
    at: float
    slow: float
    mean: float
    top: float
    hour_top: float


@dataclass(frozen=True, slots=True)
class PeakGuess:
    """What was said, from `inputs`, of the highest load in the span that begins at `at`."""

    __pydantic_config__ = WIRE
    at: float
    plain: float
    said: float
    inputs: tuple[float, ...]
    top: float = 0.0  # the highest seen in the span so far
    seen_at: float | None = None  # when that span was last looked at


@dataclass(frozen=True, slots=True)
class PeakMemory:
    """`weights` and `squares`, fading sums of squared gradients, by the inputs of `decide.peak`."""

    __pydantic_config__ = WIRE
    recent: Recent | None = None
    weights: tuple[float, ...] = ()
    squares: tuple[float, ...] = ()
    guesses: tuple[PeakGuess, ...] = ()  # not judged yet, the next one first
    score: Score = Score()


@dataclass(frozen=True, slots=True)
class ForecastMemory:
    __pydantic_config__ = WIRE
    lately: tuple[LoadAt, ...] = ()  # over the trend's look-back, oldest first
    season: Season = Season()
    guesses: tuple[Guess, ...] = ()  # not due yet, the next one first
    trend_score: Score = Score()
    season_score: Score = Score()
    peak: PeakMemory = PeakMemory()


NO_FORECASTS = ForecastMemory()
