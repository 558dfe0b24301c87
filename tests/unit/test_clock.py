"""The clocks: the machine's, and one that somebody moves."""

from __future__ import annotations

import subprocess
import sys

from autoscaler.clock import WalkingClock

# In a process of its own: freezing looks into every module loaded, and the test run has loaded
# clients that build their models when they are looked at.
FROZEN = """
from freezegun import freeze_time
from autoscaler.clock import SystemClock
with freeze_time("2026-11-20T08:00:00Z", real_asyncio=True) as frozen:
    clock = SystemClock()
    print(clock.now())
    frozen.tick(15)
    print(clock.now())
"""


def test_the_system_clock_tells_unix_time_and_follows_the_machine() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FROZEN], capture_output=True, text=True, timeout=60, check=True
    )
    assert [float(line) for line in done.stdout.split()] == [1795161600.0, 1795161615.0]


async def test_a_walking_clock_sleeps_at_once_and_never_back() -> None:
    clock = WalkingClock(100.0)
    await clock.sleep(15.0)
    await clock.sleep(-5.0)
    assert (clock.now(), clock.monotonic()) == (115.0, 115.0)
