"""Faults of whoever writes: conflicts, lost answers, leases, clocks, the state."""

from __future__ import annotations

import asyncio
import json
from random import Random

from tests.faults.api import LEASE, TARGET, Object
from tests.faults.daemons import STATE_PATH, TICK, Daemon
from tests.faults.site import Site

# A lease of 15 s is seen up to a retry late; who made it anew or doubts it waits 12 s more.
TAKEN_OVER = 15.0 + 2.0
TRUSTED_AGAIN = TAKEN_OVER + 12.0


async def conflict_storm(site: Site, random: Random) -> None:
    site.api.storm = random.choice((0.7, 0.95, 1.0))
    await site.passes(random.uniform(40, 240))
    site.api.storm = 0.0


async def api_server_down(site: Site, random: Random) -> None:
    """At the next write: carried out at once, seconds later or never, without an answer."""
    lands = random.choice((0.0, random.uniform(0.1, 4.9), None))

    def lose(method: str, path: str) -> tuple[float | None] | None:
        if method != "PUT" or path != TARGET:
            return None
        asyncio.get_running_loop().call_soon(setattr, site.api, "down", True)
        return (lands,)

    site.leader.wire.loses = lose
    for _ in range(12):
        await site.passes(TICK / 2)
        if site.api.down:
            break
    site.api.down = True
    await site.passes(random.uniform(5, 150))
    _well(site)


def _well(site: Site) -> None:
    site.api.down = False
    for daemon in site.daemons:
        daemon.wire.loses = lambda *_: None


async def lease_stolen(site: Site, random: Random) -> None:
    """kubectl edit: to a name that does not exist, to nobody, to a standby; or deleted."""
    lease = site.api.objects.get(LEASE)
    how = random.choice(("bob", "", "standby", None))
    if how is None or lease is None:
        site.api.objects.pop(LEASE, None)
    else:
        standby = next(one for one in site.daemons if one is not site.leader)
        holder = standby.elector.identity if how == "standby" else how
        site.api.put(LEASE, {**lease, "spec": {**lease["spec"], "holderIdentity": holder}})
    await site.passes(TRUSTED_AGAIN)


def clocks_apart(site: Site, random: Random) -> None:
    site.daemons[1].set_clock(random.choice((-1, 1)) * random.uniform(30, 7200))


async def leader_killed(site: Site, random: Random) -> None:
    """The other one takes over; the first comes back later, and stands by."""
    leader = site.leader
    await leader.kill()
    site.later(random.uniform(20, 200), leader.start)
    await site.passes(TAKEN_OVER + TICK)


async def partition(site: Site, random: Random) -> None:
    leader = site.leader
    leader.wire.cut = True
    lasts = random.uniform(TAKEN_OVER + 2 * TICK, 200)
    site.later(lasts, setattr, leader.wire, "cut", False)
    await site.passes(TAKEN_OVER + TICK)


async def state_deleted(site: Site, random: Random) -> None:
    """By hand, while the daemons run; then, perhaps, the leader dies."""
    site.api.objects.pop(STATE_PATH, None)
    await site.passes(random.uniform(0, 60))
    if random.random() < 0.5:
        await leader_killed(site, random)


async def state_corrupt(site: Site, random: Random) -> None:
    await _spoilt(site, random, {"state.json": random.choice(("", "{", '{"policies": 7}'))})


async def state_newer(site: Site, random: Random) -> None:
    await _spoilt(site, random, {"state.json": json.dumps({"version": 99, "policies": {}})})


async def _spoilt(site: Site, random: Random, data: dict[str, str]) -> None:
    """The backup comes back, or while a daemon runs that knows it all, nothing does."""
    good = site.api.objects[STATE_PATH]
    spoilt: Object = {key: good[key] for key in good if key not in ("data", "binaryData")}
    site.api.put(STATE_PATH, {**spoilt, "data": data})
    await site.passes(random.uniform(5, 60))
    restarted = random.random() < 0.5
    if restarted:
        await _restart(site, site.leader, random)
    await site.passes(random.uniform(10, 120))
    if restarted or random.random() < 0.5:
        site.api.put(STATE_PATH, good)
    else:
        site.api.objects.pop(STATE_PATH)
    await site.passes(TICK)


async def restart(site: Site, random: Random) -> None:
    await _restart(site, site.leader, random)
    await site.passes(TAKEN_OVER)


async def _restart(site: Site, daemon: Daemon, random: Random) -> None:
    """An update (SIGTERM) or an eviction that took too long (SIGKILL)."""
    await (daemon.stop() if random.random() < 0.5 else daemon.kill())
    await site.passes(random.uniform(0.5, 40))
    daemon.start()


async def clock_jumps(site: Site, random: Random) -> None:
    """Set by hand or by NTP; half of the time it is put right later."""
    leader = site.leader
    leader.set_clock(random.choice((-1, 1)) * random.uniform(60, 7200))
    if random.random() < 0.5:
        await site.passes(random.uniform(5, 200))
        leader.set_clock(0.0)
