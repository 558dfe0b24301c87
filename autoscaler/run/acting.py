"""Carrying a tick's actions out: only while we lead, only what a restart would remember."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from autoscaler.act.actions import plan
from autoscaler.act.executor import ActionError, Executor, describe
from autoscaler.model import Action
from autoscaler.run.deciding import Decided
from autoscaler.run.faults import Fault, internal
from autoscaler.run.leadership import Leadership
from autoscaler.units import format_duration

# Seconds that one write to the outside world may take.
ACT_TIMEOUT = 10.0


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
) -> tuple[tuple[Action, ...], list[Fault]]:
    """What was done, and what was not. A standby (`term` None) does nothing and finds no fault.

    The lease is renewed right before the first write and looked at before each: one that was
    taken from us since the tick began is noticed here.
    """
    if term is None:
        return (), []
    actions = [
        action for one in decided for action in plan(one.policy, one.decision, one.observation)
    ]
    if actions and executor.writes and leads(leadership, term):
        await leadership.confirm()
    done, faults = [], []
    for action in actions:
        if executor.writes and not leads(leadership, term):
            reason: str | None = f"not written: {_lost(leadership)}"
        elif executor.writes and not saved:
            reason = "not written: the state is not saved"
        else:
            reason = await _execute(executor, action)
        if reason is None:
            done.append(action)
        else:
            faults.append(Fault("act", reason, action.policy))
    return tuple(done), faults


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
