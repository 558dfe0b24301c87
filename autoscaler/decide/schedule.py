"""Is a scheduled window open now? Cron in the policy's own time zone, right across DST."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from autoscaler.model import Schedule


def open_since(schedule: Schedule, now: float) -> float | None:
    """Unix time at which the open window began, None while it is closed.

    "0 8 * * MON-FRI" for 12h in Asia/Taipei: open from 08:00 up to, not including, 20:00.
    """
    local = datetime.fromtimestamp(now, ZoneInfo(schedule.timezone))
    # CronSim looks strictly before its argument; a window that begins this second is open.
    looked = local.replace(microsecond=0) + timedelta(seconds=1)
    began: float = next(CronSim(schedule.cron, looked, reverse=True)).timestamp()
    return began if now - began < schedule.duration else None
