"""Carrying a tick's actions out: only while we lead, only what a restart would remember."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from autoscaler.act.actions import plan
from autoscaler.act.executor import ActionError, Executor, describe
from autoscaler.model import Action
from autoscaler.run.deciding import Decided
from autoscaler.run.faults import Fault, internal
from autoscaler.run.leadership import Leadership
from autoscaler.units import format_duration

# Seconds that one write to the outside world may take, and after which no further one is begun:
# a slow API server must not be written to by what was observed minutes ago.
ACT_TIMEOUT = 10.0
LATEST = 15.0
# Seconds for the look at the freeze before the writes.
FREEZE_WITHIN = 2.0
# Why nothing at all may be written, answered within so many seconds; None where it may.
Freeze: TypeAlias = Callable[[float], Awaitable[str | None]]
# Without the right to mark pods (HTTP 403) the ReplicaSet controller's own order has to do.
FORBIDDEN = "HTTP 403"


def leads(leadership: Leadership, term: int | None) -> bool:
    """Still, and in the term that the tick's memory was loaded for."""
    return leadership.leading and leadership.term == term


async def act(
    decided: Sequence[Decided],
    executor: Executor,
    leadership: Leadership,
    term: int | None,
    *,
    saved: bool,
    freeze: Freeze | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> tuple[tuple[Action, ...], list[Fault]]:
    """What was done, and what was not. A standby (`term` None) does nothing and finds no fault.

    The lease is renewed right before the first write and looked at before each: one that was
    taken from us since the tick began is noticed here. So is a freeze: the watch that tells of it
    may be on a dead connection.
    """
    if term is None:
        return (), []
    actions = [
        action
        for one in sorted(decided, key=_shrinks)  # who needs more comes first
        for action in plan(one.policy, one.decision, one.observation)
    ]
    began = monotonic()
    unmarked: set[str] = set()
    unwritten = None
    if actions and executor.writes and leads(leadership, term):
        unwritten = await _unwritten(leadership, freeze, saved=saved)
    done, faults = [], []
    for action in actions:
        if executor.writes and not leads(leadership, term):
            reason: str | None = f"not written: {_lost(leadership)}"
        elif unwritten is not None:
            reason = f"not written: {unwritten}"
        elif monotonic() - began > LATEST:
            late = format_duration(LATEST)
            reason = f"not written: the writes before it took {late}; observed again next tick"
        elif action.policy in unmarked and action.kind == "scale":
            reason = "not written: which pods go first could not be marked; tried again next tick"
        else:
            reason = await _execute(executor, action)
        if reason is None:
            done.append(action)
        else:
            faults.append(Fault("act", reason, action.policy))
            if action.kind == "deletionCost" and FORBIDDEN not in reason:
                unmarked.add(action.policy)
    return tuple(done), faults


async def _unwritten(leadership: Leadership, freeze: Freeze | None, *, saved: bool) -> str | None:
    """Why this tick writes nothing at all, as far as that is not the lease."""
    await leadership.confirm()
    if not saved:
        return "the state is not saved"
    remaining = leadership.remaining()
    if freeze is None or remaining <= 0:  # that is told of each action
        return None
    within = min(FREEZE_WITHIN, remaining)
    try:
        async with asyncio.timeout(within):
            frozen = await freeze(within)
    except TimeoutError:
        frozen = f"cannot tell whether all is frozen: no answer in {format_duration(within)}"
    except Exception as error:  # noqa: BLE001 -- contained: a switch that cannot be seen may be off
        frozen = internal("act", error, "freeze").text
    return f"scaling is paused, {frozen}" if frozen else None


def _shrinks(one: Decided) -> bool:
    current, desired = one.decision.current, one.decision.desired
    return current is not None and desired is not None and desired < current


async def _execute(executor: Executor, action: Action) -> str | None:
    """None where it was carried out, else why it was not."""
    try:
        async with asyncio.timeout(ACT_TIMEOUT):
            await executor.execute(action)
    except TimeoutError:
        reason = f"no answer in {format_duration(ACT_TIMEOUT)}"
    except ActionError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 -- contained, named, counted
        reason = internal("act", error).text
    else:
        return None
    return f"could not {describe(action)}: {reason}"


def _lost(leadership: Leadership) -> str:
    holder = leadership.holder
    if leadership.leading or holder in (None, leadership.identity):
        return "the lease ran out in mid-tick; it is observed again in the next term"
    return f"the lease is not ours any more, {holder} leads"
