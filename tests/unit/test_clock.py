"""The clocks: the machine's, and one that somebody moves."""

from __future__ import annotations

from datetime import UTC, datetime

from freezegun import freeze_time

from autoscaler.clock import SystemClock, WalkingClock


def test_the_system_clock_tells_unix_time() -> None:
    with freeze_time("2026-11-20T08:00:00Z", real_asyncio=True):
        assert SystemClock().now() == datetime(2026, 11, 20, 8, tzinfo=UTC).timestamp()


async def test_a_walking_clock_sleeps_at_once_and_never_back() -> None:
    clock = WalkingClock(100.0)
    await clock.sleep(15.0)
    await clock.sleep(-5.0)
    assert (clock.now(), clock.monotonic()) == (115.0, 115.0)
