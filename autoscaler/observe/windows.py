"""The two windows, from the scrape interval."""

from __future__ import annotations

import math

from autoscaler.model import Windows

FAST_SCRAPES = 4
SLOW_SCRAPES = 20


def windows_for(scrape_interval: float) -> Windows:
    """What raises averages over 4 scrapes, what lowers over 20 and at least five minutes.

    A rate needs two samples inside its window: at 15 s a window of 30 s holds two, so one lost
    scrape leaves nothing; 60 s survives two lost ones. Whole seconds, since they stand in
    PromQL: 15 s → 60 and 300, 30 s → 120 and 600, 0.4 s → 2 and 300. Above 30 s the fast window
    stays at two minutes while that still holds two scrapes: slower is not early any more.
    """
    fast = min(max(FAST_SCRAPES * scrape_interval, 2.0), max(120.0, 2.5 * scrape_interval))
    slow = max(SLOW_SCRAPES * scrape_interval, 300.0)
    return Windows(fast=float(math.ceil(fast)), slow=float(math.ceil(slow)))
