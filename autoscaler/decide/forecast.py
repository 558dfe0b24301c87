"""The load one cold start from now: a floor that may only raise, and only while it is right.

Three candidates are scored side by side at all times, whether they are trusted or not:

peak    the highest load of the minutes from then on, learned (`decide.peak`)
trend   the line through the last minutes, carried on: 3.0 replicas' worth, rising by 0.2 a minute,
        are 3.6 when what is ordered now is Ready in 3 minutes
season  the load now, and what the same time of other days added from here to there

Each guess is judged when its time has come (`decide.scoring`). A trend or a season is trusted once
ENOUGH guesses were judged and its loss is under TRUSTED of a constant margin's. How often that is,
and what each is worth: docs/reference/forecast.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from autoscaler.decide import peak, scoring
from autoscaler.decide.capacity import round_up
from autoscaler.decide.coldstart import horizon
from autoscaler.decide.context import Context
from autoscaler.decide.scoring import DIGITS, ENOUGH, IN_TIME
from autoscaler.decide.seasons import learn, progress
from autoscaler.model import Forecast, ForecastMemory, Guess, LoadAt, Score, Step
from autoscaler.units import format_duration, format_share

# A replica's worth too little costs 0.9, one too many 0.1: a missed SLA is dearer than a GPU for
# some minutes.
SHORTFALL = 0.9
TRUSTED = 0.97
# Of a score with each guess: the last 100 or so count.
FADES = 0.99
# Guesses on their way at a time, and samples of the look-back: what bounds the state.
ON_THEIR_WAY, SAMPLES = 12, 20
# What the HPA lets a small fleet grow by at a time: 1 may become 5, 2 become 6.
FEW = 4
CANDIDATES = ("peak", "trend", "season")


@dataclass(frozen=True, slots=True)
class Outlook:
    """`memory`: as of this tick. `said`: replicas' worth by candidate, of `ahead` seconds from now;
    who says nothing is not in it. `span`: the peak's, in seconds.
    """

    memory: ForecastMemory
    ahead: float = 0.0
    span: float = 0.0
    said: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)


def look(ctx: Context) -> Outlook | None:
    """None where the policy asks for no forecast."""
    rules = next((o for o in ctx.policy.objectives if isinstance(o, Forecast)), None)
    if rules is None:
        return None
    memory, load, now = ctx.state.forecast, ctx.load, ctx.now
    if load is None:
        return Outlook(memory, notes=("forecast has no say: no capacity is known",))
    if load.missing or load.missing_slow or not load.raisable:
        return Outlook(memory, notes=("forecast has no say: the load is not known in whole",))
    memory = _remember(rules, _judge(memory, now, load.fast), now, load.fast)
    seconds = horizon(ctx.state)
    if seconds is None:
        return Outlook(memory, notes=("forecast has no say: no cold start is measured yet",))
    # The fast window tells of half its length ago; what is said holds from then on.
    ahead = seconds + ctx.fleet.windows.fast / 2
    said: dict[str, float] = {}
    if rules.peak is not None:
        highest, known = peak.say(memory.peak, rules.peak, now, ahead, load.fast)
        memory = replace(memory, peak=known)
        if highest is not None:
            said["peak"] = highest
    guess = _guess(rules, memory, now, ahead, max(load.fast, load.slow))
    said |= {name: value for name in CANDIDATES[1:] if (value := getattr(guess, name)) is not None}
    memory = _on_its_way(memory, guess, ahead)
    figures = _figures(memory, said)
    return Outlook(memory, ahead, rules.peak or 0.0, said, _notes(memory, said), figures)


def floor(ctx: Context, replicas: int, outlook: Outlook | None) -> Step | None:
    """At most twice the current size, or FEW more: a step looks like a steep trend for a while."""
    if outlook is None:
        return None
    said = [(value, name) for name, value in outlook.said.items() if trusted(outlook.memory, name)]
    if not said:
        return None
    coming, name = max(said)
    most = max(2 * ctx.current, ctx.current + FEW)
    needed = min(round_up(coming / (1 - ctx.policy.headroom)), most)
    if needed <= replicas:
        return None
    shrunk = (needed - 1) * (1 - ctx.policy.headroom)
    reason = _reason(outlook, name, coming)
    return Step("forecast", replicas, needed, reason, f"at {shrunk:.2f} or less it would not raise")


def _reason(outlook: Outlook, name: str, coming: float) -> str:
    ahead, score = format_duration(round(outlook.ahead)), _score(outlook.memory, name)
    if name == "peak":
        times, span = f"{10 * peak.QUANTILE:.0f} of 10 times", format_duration(outlook.span)
        says = f"{times} the load stays under {coming:.2f} replicas' worth in the {span} from then"
        error = format_share(score.loss / score.margin)
        return (
            f"what is ordered now is Ready in {ahead}, and as learned from this traffic {says}; "
            f"lately its error was {error} of what as many GPUs as fixed headroom would have had"
        )
    better = format_share(1 - score.loss / score.margin)
    return (
        f"the {name} says {coming:.2f} replicas' worth in {ahead}, when what is ordered now is "
        f"Ready; lately it erred {better} less than a constant margin that asks for as much"
    )


def trusted(memory: ForecastMemory, name: str) -> bool:
    return scoring.trusted(_score(memory, name), _limit(name))


def _limit(name: str) -> float:
    return peak.TRUSTED if name == "peak" else TRUSTED


def _score(memory: ForecastMemory, name: str) -> Score:
    if name == "peak":
        return memory.peak.score
    return memory.trend_score if name == "trend" else memory.season_score


def _judge(memory: ForecastMemory, now: float, load: float) -> ForecastMemory:
    """Guesses whose time has come. One that nobody could judge in time, for want of data, is
    dropped: the load of an hour later proves nothing. A clock that was set back drops them all.
    """
    if memory.lately and memory.lately[-1].at > now:
        return replace(memory, lately=(), guesses=())
    due = [guess for guess in memory.guesses if guess.at <= now]
    if not due:
        return memory
    changes: dict[str, Any] = {"guesses": tuple(g for g in memory.guesses if g.at > now)}
    for guess in due:
        if now - guess.at > IN_TIME:
            continue
        for name in CANDIDATES[1:]:
            said = getattr(guess, name)
            if said is not None:
                key = f"{name}_score"
                score = changes.get(key, getattr(memory, key))
                changes[key] = scoring.scored(
                    score, load, said, guess.plain, quantile=SHORTFALL, fades=FADES
                )
    return replace(memory, **changes)


def _remember(rules: Forecast, memory: ForecastMemory, now: float, load: float) -> ForecastMemory:
    changes: dict[str, Any] = {}
    if rules.peak is not None:
        changes["peak"] = peak.look(memory.peak, rules.peak, now, load)
    if rules.trend is not None:
        lately = memory.lately
        if not lately or now - lately[-1].at >= rules.trend / SAMPLES:
            began = now - rules.trend
            kept = tuple(one for one in lately if one.at >= began)
            changes["lately"] = (*kept, LoadAt(round(now, 1), round(load, DIGITS)))
    if rules.season is not None:
        changes["season"] = learn(memory.season, rules.season, now, load)
    return replace(memory, **changes) if changes else memory


def _guess(
    rules: Forecast, memory: ForecastMemory, now: float, ahead: float, plain: float
) -> Guess:
    trend = season = None
    if rules.trend is not None and _spans(memory.lately, rules.trend):
        level, slope = line(memory.lately, now)
        trend = round(level + max(0.0, slope) * ahead, DIGITS)
    if rules.season is not None:
        more = progress(memory.season, rules.season, now, now + ahead)
        if more is not None:
            season = round(plain + max(0.0, more), DIGITS)
    return Guess(round(now + ahead, 1), round(plain, DIGITS), trend, season)


def _spans(lately: Sequence[LoadAt], look_back: float) -> bool:
    return len(lately) >= SAMPLES / 2 and lately[-1].at - lately[0].at >= look_back / 2


def line(samples: Sequence[LoadAt], now: float) -> tuple[float, float]:
    """Least squares: the level now, and the slope per second. Samples at two times at least."""
    count = len(samples)
    middle = sum(one.at for one in samples) / count
    mean = sum(one.load for one in samples) / count
    spread = sum((one.at - middle) ** 2 for one in samples)
    slope = sum((one.at - middle) * (one.load - mean) for one in samples) / spread
    return mean + slope * (now - middle), slope


def _on_its_way(memory: ForecastMemory, guess: Guess, ahead: float) -> ForecastMemory:
    if guess.trend is None and guess.season is None:
        return memory
    waiting = memory.guesses
    if waiting and guess.at - waiting[-1].at < ahead / ON_THEIR_WAY:
        return memory
    return replace(memory, guesses=(*waiting[-ON_THEIR_WAY:], guess))


def _notes(memory: ForecastMemory, said: Mapping[str, float]) -> tuple[str, ...]:
    notes = []
    for name in said:
        if trusted(memory, name):
            continue
        score = _score(memory, name)
        if score.guesses < ENOUGH:
            notes.append(f"the {name} is not trusted yet: {score.guesses:.0f} guesses were judged")
        else:
            ratio = format_share(score.loss / score.margin) if score.margin else "100%"
            notes.append(
                f"the {name} is not trusted: its error is {ratio} of that of a constant margin "
                f"that asks for as much, under {format_share(_limit(name))} it would be"
            )
    return tuple(notes)


def _figures(memory: ForecastMemory, said: Mapping[str, float]) -> dict[str, float]:
    figures = {}
    for name, value in said.items():
        figures[f"forecast{name.title()}"] = value
        score = _score(memory, name)
        if score.margin > 0:
            figures[f"forecast{name.title()}Error"] = score.loss / score.margin
    return figures
