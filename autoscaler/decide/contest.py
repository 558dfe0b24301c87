"""Somebody else moved the replicas: noticed, and over again when the policy says so.

What tells ours from theirs: our own change is the outcome of an order. An order whose answer was
lost may still land a tick later; then nobody else is named as the writer, and it is ours.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autoscaler.model import Contest, Hands, Order, Policy, State, Unseen, Written

# A write is given 5 s, and the watch that shows it is rarely later than a few more.
LATE = 60.0
UNNAMED = "somebody (Kubernetes does not say who)"


def landed(state: State, current: int, now: float, hands: Hands) -> Order | None:
    """The order of ours that made the replicas what they are; None where none did."""
    order = state.order
    if order is not None and current == order.after:
        return order
    unseen = state.unseen
    if unseen is None or state.replicas == current or hands.writer is not None:
        return None
    late = unseen.order
    return late if current == late.after and now - late.at <= LATE else None


def sent(state: State) -> State:
    """The write of the state's order came through: for whoever carries actions out."""
    order = state.order
    return state if order is None else replace(state, order=replace(order, sent=True))


def notice(
    policy: Policy, hands: Hands, state: State, current: int, now: float, done: Order | None
) -> dict[str, Any]:
    """What changes in the state as it was before this tick; `done`: what `landed` found."""
    if policy.mode != "scale":  # an HPA or a person is expected there
        return _nothing_of_ours(state)
    changes: dict[str, Any] = {}
    if state.writer != hands.writer:
        changes["writer"] = hands.writer
    if done is not None:
        written = Written(done.at, current)
        return changes | {"written": written, "unseen": None, "contest": None}
    if state.replicas is None:
        return changes
    if current != state.replicas:
        return changes | {"unseen": None} | _changed(policy, hands, state, current, now)
    if state.contest is not None:
        return changes | _over(policy, state.contest, now)
    return changes | _not_carried_out(policy, hands, state, now)


def _nothing_of_ours(state: State) -> dict[str, Any]:
    if all(x is None for x in (state.written, state.contest, state.unseen, state.writer)):
        return {}
    return {"written": None, "contest": None, "unseen": None, "writer": None}


def _changed(
    policy: Policy, hands: Hands, state: State, current: int, now: float
) -> dict[str, Any]:
    """Down to 0 is a switch, and the way back from it an invitation; back to what we wrote hands
    the wheel back. Everything else is a contest.

    A write of ours that came through was there before theirs, though nobody saw it: 4 → 5 by us
    and 5 → 8 by a person within a tick leave 5 as what we wrote, not 4.
    """
    before, order, changes = state.replicas or 0, state.order, dict[str, Any]()
    if current == 0 or before == 0:
        return {"contest": None, "written": None}
    if order is not None and order.sent:
        written = Written(order.at, order.after)
        before, changes = order.after, {"written": written}
        state = replace(state, written=written)
    if current == _ours(state):
        return changes | {"contest": None}
    who = hands.writer or UNNAMED
    return changes | {"contest": Contest(now, before, current, policy.hash, who)}


def _ours(state: State) -> int | None:
    """The size that is ours to go on from: what we wrote, else what was there before theirs."""
    if state.written is not None:
        return state.written.replicas
    return state.contest.before if state.contest is not None else None


def _over(policy: Policy, contest: Contest, now: float) -> dict[str, Any]:
    """What was left alone until now is taken over: the next change by hand is a contest again."""
    rule = policy.when_contested
    if rule.then == "yield":
        over = now - contest.at >= rule.lasts
    else:
        over = policy.hash != contest.policy_hash
    return {"contest": None, "written": None} if over else {}


def _not_carried_out(policy: Policy, hands: Hands, state: State, now: float) -> dict[str, Any]:
    """The size stood still. With an order of ours: was it refused, or undone within a tick?

    Undone where the writer of the replicas was us and is somebody else now. Where it was somebody
    else before, too, a late watch or an edit of the image looks alike once, and not twice: the
    second write would have been refused, since it did not find the size it was decided from.
    """
    order, unseen = state.order, state.unseen
    if order is None:
        return {"unseen": None} if unseen is not None and now - unseen.order.at > LATE else {}
    named = hands.writer is not None
    overwritten = named and (order.sent or hands.writer != state.writer)
    again = unseen is not None and unseen.overwritten
    taken = named and state.writer is None and state.written is not None
    if taken or (overwritten and again):
        who = hands.writer or UNNAMED
        contest = Contest(now, order.after, order.before, policy.hash, who)
        return {"contest": contest, "unseen": None}
    return {"unseen": Unseen(order, overwritten)}
