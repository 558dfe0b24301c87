"""Random numbers that are the same for the same seed, on every machine."""

from __future__ import annotations

import math
from random import Random


def seeded(name: str) -> Random:
    """A generator of its own for each part: what one draws does not shift the others."""
    return Random(name)  # noqa: S311 -- a simulation, not a secret


def poisson(random: Random, mean: float) -> int:
    """One Poisson draw: by inversion below 30, by the normal approximation above."""
    if mean <= 0:
        return 0
    if mean >= 30:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    uniform = random.random()
    term = total = math.exp(-mean)
    count = 0
    while uniform > total and count < 200:
        count += 1
        term *= mean / count
        total += term
    return count
