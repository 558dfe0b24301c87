"""How wrong a forecast is, beside a constant margin that asks for as much.

The loss is the pinball loss at a quantile q: a replica's worth too little costs q, one too many
1 - q. It is set beside the loss of a constant margin: the plain guess, the higher of the two
windows, which is what `demand` sizes by, and 4 % on top where the forecast asks for 4 % more on
average. What is no better than the same GPUs as headroom is not worth having, and mere raising
would always look good where shortfall is the dearer.
"""

from __future__ import annotations

from autoscaler.model import Score

# Guesses that must have been judged before one is trusted.
ENOUGH = 40.0
# Seconds after its time within which a guess can be judged: the load of an hour later proves
# nothing.
IN_TIME = 90.0
# Decimals of what is remembered: a thousandth of a replica's worth, for the size of the state.
DIGITS = 3


def pinball(actual: float, said: float, quantile: float) -> float:
    """At 0.9: 0.9 for each replica's worth too little, 0.1 for each too much."""
    lacking = actual - said
    return quantile * lacking if lacking > 0 else (quantile - 1) * lacking


def scored(
    score: Score, actual: float, said: float, plain: float, *, quantile: float, fades: float
) -> Score:
    """One more guess. As a floor it may only raise: what it says counts from `plain` on.

    `fades`: weight of what was before, with each guess: at 0.99 the last 100 or so count.
    """
    said = max(said, plain)
    raised = score.raised * fades + said - plain
    total = score.plain * fades + plain
    share = raised / total if total > 0 else 0.0
    sums = (
        score.guesses * fades + 1,
        score.loss * fades + pinball(actual, said, quantile),
        score.margin * fades + pinball(actual, plain * (1 + share), quantile),
        raised,
        total,
    )
    return Score(*(round(one, 2 * DIGITS) for one in sums))


def trusted(score: Score, under: float) -> bool:
    """`under`: share of the margin's loss."""
    return score.guesses >= ENOUGH and score.loss < under * score.margin
