"""The load one cold start from now: a floor that may only raise, and only while it is right.

Two candidates are scored side by side at all times, whether they are trusted or not:

trend   the line through the last minutes, carried on: 3.0 replicas' worth, rising by 0.2 a minute,
        are 3.6 when what is ordered now is Ready in 3 minutes
season  the load now, and what the same time of other days added from here to there

Each guess is judged when its time has come. The loss is the pinball loss at SHORTFALL: a replica's
worth too little costs 0.9, one too many 0.1, since a missed SLA is dearer than a GPU for some
minutes. It is set beside the loss of a constant margin that asks for as much: the plain guess, the
higher of the two windows, which is what `demand` sizes by, and 4 % on top where the candidate asks
for 4 % more on average. What is no better than the same GPUs as headroom is not worth having, and
mere raising would always look good at such a price of shortfall. A candidate is trusted once ENOUGH
guesses were judged and its loss is under TRUSTED of the margin's. How often that is, by look-back:
docs/reference/forecast.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from autoscaler.decide.capacity import round_up
from autoscaler.decide.coldstart import horizon
from autoscaler.decide.context import Context
from autoscaler.decide.seasons import learn, progress
from autoscaler.model import Forecast, ForecastMemory, Guess, LoadAt, Score, Step
from autoscaler.units import format_duration, format_share

SHORTFALL = 0.9
TRUSTED = 0.97
ENOUGH = 40.0
# Of a score with each guess: the last 100 or so count.
FADES = 0.99
# Seconds after its time within which a guess can be judged.
IN_TIME = 90.0
# Guesses on their way at a time, and samples of the look-back: what bounds the state.
ON_THEIR_WAY, SAMPLES = 12, 20
# Decimals of what is remembered: a thousandth of a replica's worth, for the size of the state.
DIGITS = 3
CANDIDATES = ("trend", "season")


@dataclass(frozen=True, slots=True)
class Outlook:
    """`memory`: as of this tick. `guess`: what is said now, of its time; None: nothing."""

    memory: ForecastMemory
    ahead: float = 0.0  # seconds
    guess: Guess | None = None
    notes: tuple[str, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)


def look(ctx: Context) -> Outlook | None:
    """None where the policy asks for no forecast."""
    rules = next((o for o in ctx.policy.objectives if isinstance(o, Forecast)), None)
    if rules is None:
        return None
    memory, load = ctx.state.forecast, ctx.load
    if load is None:
        return Outlook(memory, notes=("forecast has no say: no capacity is known",))
    if load.missing or load.missing_slow or not load.raisable:
        return Outlook(memory, notes=("forecast has no say: the load is not known in whole",))
    memory = _remember(rules, _judge(memory, ctx.now, load.fast), ctx.now, load.fast)
    seconds = horizon(ctx.state)
    if seconds is None:
        return Outlook(memory, notes=("forecast has no say: no cold start is measured yet",))
    # The fast window tells of half its length ago; what is said holds from then on.
    ahead = seconds + ctx.fleet.windows.fast / 2
    guess = _guess(rules, memory, ctx.now, ahead, max(load.fast, load.slow))
    memory = _on_its_way(memory, guess, ahead)
    return Outlook(memory, ahead, guess, _notes(memory, guess), _figures(memory, guess))


def floor(ctx: Context, replicas: int, outlook: Outlook | None) -> Step | None:
    """At most twice the current size: a step looks like a steep trend for a while."""
    if outlook is None or outlook.guess is None:
        return None
    said = [
        (value, name)
        for name in CANDIDATES
        if (value := getattr(outlook.guess, name)) is not None and trusted(outlook.memory, name)
    ]
    if not said:
        return None
    coming, name = max(said)
    needed = min(round_up(coming / (1 - ctx.policy.headroom)), 2 * ctx.current)
    if needed <= replicas:
        return None
    score = _score(outlook.memory, name)
    ahead = format_duration(round(outlook.ahead))
    better = format_share(1 - score.loss / score.margin)
    reason = (
        f"the {name} says {coming:.2f} replicas' worth in {ahead}, when what is ordered now is "
        f"Ready; lately it erred {better} less than a constant margin that asks for as much"
    )
    shrunk = (needed - 1) * (1 - ctx.policy.headroom)
    return Step("forecast", replicas, needed, reason, f"at {shrunk:.2f} or less it would not raise")


def trusted(memory: ForecastMemory, name: str) -> bool:
    score = _score(memory, name)
    return score.guesses >= ENOUGH and score.loss < TRUSTED * score.margin


def _score(memory: ForecastMemory, name: str) -> Score:
    return memory.trend_score if name == "trend" else memory.season_score


def pinball(actual: float, said: float) -> float:
    """0.9 for each replica's worth too little, 0.1 for each too much."""
    lacking = actual - said
    return SHORTFALL * lacking if lacking > 0 else (SHORTFALL - 1) * lacking


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
        for name in CANDIDATES:
            said = getattr(guess, name)
            if said is not None:
                key = f"{name}_score"
                score = changes.get(key, getattr(memory, key))
                changes[key] = _scored(score, load, max(said, guess.plain), guess.plain)
    return replace(memory, **changes)


def _scored(score: Score, actual: float, said: float, plain: float) -> Score:
    """As a floor it may only raise: what it says counts from `plain` on."""
    raised = score.raised * FADES + said - plain
    total = score.plain * FADES + plain
    share = raised / total if total > 0 else 0.0
    sums = (
        score.guesses * FADES + 1,
        score.loss * FADES + pinball(actual, said),
        score.margin * FADES + pinball(actual, plain * (1 + share)),
        raised,
        total,
    )
    return Score(*(round(one, 2 * DIGITS) for one in sums))


def _remember(rules: Forecast, memory: ForecastMemory, now: float, load: float) -> ForecastMemory:
    changes: dict[str, Any] = {}
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


def _notes(memory: ForecastMemory, guess: Guess) -> tuple[str, ...]:
    notes = []
    for name in CANDIDATES:
        if getattr(guess, name) is None or trusted(memory, name):
            continue
        score = _score(memory, name)
        if score.guesses < ENOUGH:
            notes.append(f"the {name} is not trusted yet: {score.guesses:.0f} guesses were judged")
        else:
            ratio = format_share(score.loss / score.margin) if score.margin else "100%"
            notes.append(
                f"the {name} is not trusted: its error is {ratio} of that of a constant margin "
                f"that asks for as much, under {format_share(TRUSTED)} it would be"
            )
    return tuple(notes)


def _figures(memory: ForecastMemory, guess: Guess) -> dict[str, float]:
    figures = {}
    for name in CANDIDATES:
        said, score = getattr(guess, name), _score(memory, name)
        if said is not None:
            figures[f"forecast{name.title()}"] = said
        if score.margin > 0:
            figures[f"forecast{name.title()}Error"] = score.loss / score.margin
    return figures
