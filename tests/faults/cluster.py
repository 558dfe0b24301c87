"""Faults of the cluster and of those who use it: targets, pods, nodes, other hands, signals."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random

from autoscaler.model import BudgetShare, GpuBudget, ScalingPolicy, WhenContested
from tests.faults.daemons import TICK
from tests.faults.eyes import Lie
from tests.faults.judge import COLD_START
from tests.faults.site import YIELDS, Site
from tests.faults.world import CRASH_LOOP, KILLED

# Decided on twice the p90 of what was measured; told by the tick after.
GIVEN_UP = 2 * 85.0 + TICK
MORE_THAN_THERE_IS = 600.0  # requests/s, for the nodes of a fleet at its largest
UNNEEDED = 90.0  # after which the load rises, so that somebody asks for a node
NOTICE = 120.0  # of a spot instance
GRACE = 30.0  # of a drain
HPA = "HorizontalPodAutoscaler default/flower"


# --- the target ------------------------------------------------------------------------------


async def deleted(site: Site, random: Random) -> None:
    """And made anew: whoever did that has changed the replicas, and the policy yields."""
    site.world.delete()
    await site.passes(random.uniform(10, 150))
    site.world.make_anew(random.randint(1, 4), "kubectl-create, Update")
    await site.passes(YIELDS + 2 * TICK)


async def switched_off(site: Site, random: Random) -> None:
    """Scaled to 0 by hand, and on again."""
    site.world.scale(0, "kubectl, Update of scale")
    await site.passes(random.uniform(10, 200))
    site.world.scale(random.randint(1, 3), "kubectl, Update of scale")
    await site.passes(TICK)


async def by_a_person(site: Site, random: Random) -> None:
    """To any size, over the maximum too, perhaps twice; the policy yields."""
    for _ in range(random.randint(1, 2)):
        sizes = [size for size in range(1, 13) if size != site.world.replicas]
        site.world.scale(random.choice(sizes), "kubectl, Update of scale")
        await site.passes(random.uniform(1, 50))
    await site.passes(YIELDS + 2 * TICK)


def refuses(site: Site, random: Random) -> None:
    policy = site.rules.policy
    site.rules.policy = replace(policy, when_contested=WhenContested("refuse", YIELDS))


async def by_a_person_who_puts_it_back(site: Site, random: Random) -> None:
    """To the policy's own size. Where theirs was what it was about to write, it is that already."""
    sizes = [size for size in range(1, 13) if size != site.world.replicas]
    site.world.scale(random.choice(sizes), "kubectl, Update of scale")
    await site.passes(random.uniform(2 * TICK, 150))
    state = site.remembered()
    if state.contest is not None:
        ours = state.written.replicas if state.written is not None else state.contest.before
        site.world.scale(ours, "kubectl, Update of scale")
    await site.passes(2 * TICK)


async def an_hpa(site: Site, random: Random) -> None:
    """It also writes; then somebody removes it."""
    hands = site.world.hands
    site.world.hands = replace(hands, others=(HPA,))
    await site.passes(random.uniform(TICK, 60))
    if random.random() < 0.7:
        site.world.scale(random.randint(1, 10), "kube-controller-manager, Update of scale")
    await site.passes(random.uniform(TICK, 100))
    site.world.hands = hands
    await site.passes(YIELDS + 2 * TICK)


async def paused(site: Site, random: Random) -> None:
    hands = site.world.hands
    site.world.hands = replace(hands, paused="annotation triton-autoscaler/paused")
    await site.passes(random.uniform(TICK, 200))
    site.world.hands = hands


async def quota(site: Site, random: Random) -> None:
    site.world.quota = max(len(site.world.live) + random.randint(-1, 1), 2)
    await site.passes(random.uniform(30, 240))
    site.world.quota = None


def all_at_once(site: Site, random: Random) -> None:
    """Scale-in has no other brake than the load itself: 8 → 1 in one step."""
    policy = site.rules.policy
    assert policy.behavior is not None
    down = replace(policy.behavior.scale_down, policies=(ScalingPolicy("Percent", 100, 15.0),))
    site.rules.policy = replace(policy, behavior=replace(policy.behavior, scale_down=down))


async def budget_shrinks(site: Site, random: Random) -> None:
    key = site.rules.policy.key

    def gpus(count: int) -> tuple[GpuBudget, ...]:
        return (GpuBudget("default", "gpus", count, (BudgetShare(key, 0, 1),)),)

    site.rules.budgets = gpus(random.randint(1, 3))
    await site.passes(random.uniform(60, 400))
    site.rules.budgets = gpus(16)


# --- pods ------------------------------------------------------------------------------------


async def rollout(site: Site, random: Random) -> None:
    """One pod after the other; of no more than 10 minutes."""
    site.world.revision += 1
    for _ in range(60):
        await site.passes(10.0)
        if all(pod.revision == site.world.revision for pod in site.world.live):
            return
    for pod in site.world.live:  # kubectl rollout undo
        pod.revision = site.world.revision


async def crash_loop(site: Site, random: Random) -> None:
    """Every container that starts ends: a bad image, or a model that does not load."""
    site.world.failing = CRASH_LOOP
    if random.random() < 0.5:
        _kill_one(site, random, CRASH_LOOP)
    await site.passes(random.uniform(60, 240))
    site.world.failing = None


async def out_of_memory(site: Site, random: Random) -> None:
    """Under load, one after the other."""
    for _ in range(random.randint(2, 5)):
        _kill_one(site, random, KILLED)
        await site.passes(random.uniform(5, 40))


def _kill_one(site: Site, random: Random, why: str) -> None:
    if site.world.ready:
        site.world.kill(random.choice(site.world.ready), why)


# --- nodes -----------------------------------------------------------------------------------


async def drained(site: Site, random: Random) -> None:
    node = _node(site, random, "cordoned")
    if node is not None:
        await site.passes(GRACE)
        site.world.evict(node)
        await site.passes(GRACE)
        site.world.lose_node(node)


def without_fallback(site: Site, random: Random) -> None:
    """Nobody else to buy from: a pool that is taken for lost does not grow."""
    policy = site.rules.policy
    assert policy.nodes is not None
    site.rules.policy = replace(policy, nodes=replace(policy.nodes, fallback=None))


async def cordoned(site: Site, random: Random) -> None:
    """Busy or empty, for hours: the load goes on meanwhile, and the next waves find it so."""
    if site.world.first.nodes:
        chosen = random.choice(site.world.first.nodes)
        chosen.leaving = "cordoned"
        hours = random.uniform(1.0, 3.0)
        loop = asyncio.get_running_loop()
        loop.call_later(hours * 3600.0, setattr, chosen, "leaving", None)
    await site.passes(TICK)


async def spot(site: Site, random: Random) -> None:
    node = _node(site, random, "AWS is about to take it back")
    if node is not None:
        await site.passes(NOTICE)
        site.world.lose_node(node)


def _node(site: Site, random: Random, leaving: str) -> str | None:
    nodes = [node for node in site.world.first.nodes if site.world.busy(node.name)]
    if not nodes:
        return None
    chosen = random.choice(nodes)
    chosen.leaving = leaving
    return chosen.name


async def no_nodes(site: Site, random: Random) -> None:
    """The first pool brings nothing more; over once the policy may know, by its own measure."""
    site.world.first.dead = True
    waits: float | None = None
    began = site.now
    while site.now - (began + UNNEEDED if waits is None else waits) < GIVEN_UP:
        await site.passes(5.0)
        without = [pod for pod in site.world.live if pod.node is None]
        if waits is None and without:
            waits = min(pod.created_at for pod in without)
        if waits is None and site.now - began > UNNEEDED and site.surge < MORE_THAN_THERE_IS:
            site.surge_of(8)  # nobody asked for a node until now
    site.later(2 * COLD_START, setattr, site.world.first, "dead", False)


# --- signals ---------------------------------------------------------------------------------


def lies(lie: Lie) -> Callable[[Site, Random], Awaitable[None]]:
    async def happens(site: Site, random: Random) -> None:
        site.prometheus.lie, site.prometheus.since = lie, site.now
        await site.passes(random.uniform(20, 240))
        site.prometheus.lie = None

    return happens
