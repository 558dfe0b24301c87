"""The highest load of the span from when what is ordered now is Ready: learned as it comes.

What is said is a multiple of the load now, `plain`, the higher of the fast window and of the mean
of the last minutes:

    said = plain × (w0 + w1·rise + w2·jump + w3·drift + w4·top + w5·hour)

rise   (fast - slow) / plain: where it is going, since slow tells of two minutes before fast
jump   the rise where it is one, else 0
drift  (slow - the mean of the last ten minutes) / plain
top    by how much the highest of the last quarter of an hour is above plain, over plain
hour   the same of the last hour

`slow` is a fading mean of the fast windows that were seen, not the sum of the pods' slow windows.
That sum is a load only while the pods stay the same: of 8 at 800/s one is let go, and for five
minutes the other seven tell of less than 6,400/s; after a scale-out there is a fall that is none.
On the smoothest trace of `make compare` that cost a rise half of its weight.

It begins with w0 = 1, the load now. On smooth traffic it learns to carry a rise on (rise 1.2, jump
0.9: at 5.0 replicas' worth, 0.4 above slow, + 0.84), on traffic that scatters to look past a jump
(jump -0.4) and to stay ready for what the last hour saw (hour 0.3). So the margin, and how long
idle replicas are kept, follow the traffic's own burstiness.

This is quantile regression (Koenker and Bassett 1978), a step with each guess whose time has come:
down the gradient of the pinball loss at QUANTILE, each weight by RATE / sqrt(sum of its squared
gradients) (AdaGrad, Duchi et al. 2011). QUANTILE: 7 of 10 spans stay under what is said; headroom
is for the others. A minute of nonsense, or a night of next to no load, would be in those sums for
good and stop all learning: inputs are bounded by WIDEST, and the sums fade.

It is trusted while its error is under TRUSTED of that of a constant margin that asks for as much.
That margin is chosen in hindsight, a tenth is the price of not knowing.
"""

from __future__ import annotations

import math
from dataclasses import replace

from autoscaler.decide import scoring
from autoscaler.decide.scoring import DIGITS, IN_TIME
from autoscaler.model import PeakGuess, PeakMemory, Recent

QUANTILE, RATE = 0.7, 0.05
TRUSTED = 1.1
# Of a score with each guess: the last 500 or so count, 4 hours where they are 30 s apart.
FADES = 0.998
# Of the squared gradients with each: the last 5,000 or so count, two days.
FORGETS = 0.9998
# Seconds over which the two means, the highest and the hour's highest are forgotten.
SLOW, MEAN, TOP, HOUR = 150.0, 600.0, 900.0, 3600.0
WIDEST = 3.0
# Guesses on their way at a time: what bounds the state. And the least seconds between two.
ON_THEIR_WAY, APART = 12, 30.0
FIRST = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
# Replicas' worth: less than this is no load that a share could be taken of.
LEAST = 0.05


def trusted(memory: PeakMemory) -> bool:
    return scoring.trusted(memory.score, TRUSTED)


def look(memory: PeakMemory, span: float, now: float, fast: float) -> PeakMemory:
    """What this look teaches. A clock that was set back drops what was on its way."""
    recent = memory.recent
    if recent is not None and recent.at > now:
        recent, memory = None, replace(memory, guesses=())
    memory = _judged(memory, span, now, fast)
    return replace(memory, recent=_faded(recent, now, fast))


def say(
    memory: PeakMemory, span: float, now: float, ahead: float, fast: float
) -> tuple[float | None, PeakMemory]:
    """The peak of the span that begins `ahead` seconds from now; and the guess, to be judged."""
    recent = memory.recent
    if recent is None:
        return None, memory
    plain = max(fast, recent.slow, LEAST)
    inputs = _inputs(recent, plain, fast)
    weights = memory.weights or FIRST
    said = plain * math.fsum(w * x for w, x in zip(weights, inputs, strict=True))
    said = round(max(0.0, said), DIGITS)
    waiting, at = memory.guesses, now + ahead
    apart = max(APART, (ahead + span) / ON_THEIR_WAY)
    if not waiting or at - waiting[-1].at >= apart:
        rounded = tuple(round(x, DIGITS) for x in inputs)
        guess = PeakGuess(round(at, 1), round(plain, DIGITS), said, rounded)
        memory = replace(memory, guesses=(*waiting[-ON_THEIR_WAY:], guess))
    return said, memory


def _inputs(recent: Recent, plain: float, fast: float) -> tuple[float, ...]:
    rise = (fast - recent.slow) / plain
    drift = (recent.slow - recent.mean) / plain
    top, hour = (max(0.0, high - plain) / plain for high in (recent.top, recent.hour_top))
    bounded = [min(WIDEST, max(-WIDEST, x)) for x in (rise, max(0.0, rise), drift, top, hour)]
    return (1.0, *bounded)


def _faded(recent: Recent | None, now: float, fast: float) -> Recent:
    if recent is None:
        fast = round(fast, DIGITS)
        return Recent(round(now, 1), fast, fast, fast, fast)
    since = now - recent.at

    def toward(old: float, memory: float) -> float:
        return old + (fast - old) * (1 - math.exp(-since / memory))

    return Recent(
        round(now, 1),
        round(toward(recent.slow, SLOW), 2 * DIGITS),
        round(toward(recent.mean, MEAN), 2 * DIGITS),
        round(max(fast, toward(recent.top, TOP)), 2 * DIGITS),
        round(max(fast, toward(recent.hour_top, HOUR)), 2 * DIGITS),
    )


def _judged(memory: PeakMemory, span: float, now: float, load: float) -> PeakMemory:
    """Guesses whose span is over teach; one that was not looked at all along is dropped."""
    due = [guess for guess in memory.guesses if guess.at <= now]
    if not due:
        return memory
    under_way = []
    for guess in due:
        if now - (guess.at if guess.seen_at is None else guess.seen_at) > IN_TIME:
            continue
        over, seen = now >= guess.at + span, guess
        if not over or guess.seen_at is None:  # the look after a span that fell between two
            top = max(guess.top, round(load, DIGITS))
            seen = replace(guess, top=top, seen_at=round(now, 1))
        if over:
            memory = _learned(memory, seen)
        else:
            under_way.append(seen)
    coming = memory.guesses[len(due) :]
    return replace(memory, guesses=(*under_way, *coming))


def _learned(memory: PeakMemory, guess: PeakGuess) -> PeakMemory:
    weights, squares = memory.weights or FIRST, memory.squares or (0.0,) * len(FIRST)
    score = scoring.scored(
        memory.score, guess.top, guess.said, guess.plain, quantile=QUANTILE, fades=FADES
    )
    expected = guess.plain * math.fsum(w * x for w, x in zip(weights, guess.inputs, strict=True))
    side = QUANTILE if guess.top > expected else QUANTILE - 1
    # A tenth of a replica's worth is a few requests, and its shares are noise: it counts a tenth.
    side *= guess.plain / (1 + guess.plain)
    gradients = [side * x for x in guess.inputs]
    squares = tuple(round(s * FORGETS + g * g, 9) for s, g in zip(squares, gradients, strict=True))
    steps = [RATE * g / math.sqrt(s) if s else 0.0 for g, s in zip(gradients, squares, strict=True)]
    weights = tuple(round(w + step, 6) for w, step in zip(weights, steps, strict=True))
    return replace(memory, weights=weights, squares=squares, score=score)
