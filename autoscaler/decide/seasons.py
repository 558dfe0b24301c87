"""The load by time of day, or of the week, in bins; each day's counts for a third."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.model import Season

DAY = 86400.0
# A day has 96 bins of 15 minutes, a week 168 of an hour.
BINS, WEEK_BINS = 96, 168
NEWEST = 1 / 3


def bins_of(period: float) -> int:
    return BINS if period <= DAY else WEEK_BINS


def learn(season: Season, period: float, now: float, load: float) -> Season:
    """A bin is learned when it is over: its mean, a third of what is believed from then on."""
    count = bins_of(period)
    if len(season.bins) != count:
        season = Season((None,) * count)
    number = int(now // (period / count))
    if number == season.number:
        return replace(season, total=round(season.total + load, 3), count=season.count + 1)
    bins = season.bins
    if season.count:
        which, mean = season.number % count, season.total / season.count
        old = bins[which]
        new = mean if old is None else old + NEWEST * (mean - old)
        bins = (*bins[:which], round(new, 3), *bins[which + 1 :])
    return Season(bins, number, round(load, 3), 1)


def progress(season: Season, period: float, now: float, then: float) -> float | None:
    """What other days added between these times of day; None where they did not see both."""
    here, there = _at(season, period, now), _at(season, period, then)
    return None if here is None or there is None else there - here


def _at(season: Season, period: float, when: float) -> float | None:
    """Between the middles of two bins, on the line between them."""
    count = len(season.bins)
    if not count:
        return None
    place = when / (period / count) - 0.5
    first = int(place // 1)
    low, high = season.bins[first % count], season.bins[(first + 1) % count]
    if low is None or high is None:
        return None
    return low + (high - low) * (place - first)
