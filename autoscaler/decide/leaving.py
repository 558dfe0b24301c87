"""Pods about to be lost with their node: replaced while they still serve, and once.

A Spot instance gives two minutes' notice, a model takes longer to load. Kubernetes makes the
replacement when the pod is gone; asked for now it is there by then, and the one too many
afterwards is an ordinary scale-in.
"""

from __future__ import annotations

from autoscaler.decide.capacity import drain_within
from autoscaler.decide.context import Context
from autoscaler.model import Pod, State, Step


def replacements(ctx: Context, replicas: int) -> Step | None:
    """Where the load in replicas is known, so many must stay without the leaving ones: that is
    the same number on each tick. Where it is not, each leaving pod is replaced, and remembered.
    """
    leaving = ctx.fleet.leaving
    if not leaving:
        return None
    after, load = replicas, ctx.load
    known = load is not None and load.raisable and not (load.missing or load.missing_slow)
    if load is not None and load.raisable:
        headroom = ctx.policy.headroom
        needed = max(
            load.replicas(headroom, drain_within(ctx.policy)), load.replicas_slow(headroom), 1
        )
        after = max(after, needed + len(leaving))
    if not known:
        after = max(after, ctx.current + len(_new(ctx)))
    if after == replicas:
        return None
    return Step("leaving", replicas, after, _reason(leaving, after - ctx.current))


def remember(state: State, leaving: tuple[Pod, ...], more: int) -> tuple[str, ...]:
    """The pods whose replacement need not be ordered again, where `more` replicas are ordered."""
    if not leaving:
        return ()
    done = [pod.name for pod in leaving if pod.name in state.replaced]
    new = [pod.name for pod in leaving if pod.name not in state.replaced]
    return (*done, *new[: max(0, more)])


def _new(ctx: Context) -> list[Pod]:
    return [pod for pod in ctx.fleet.leaving if pod.name not in ctx.state.replaced]


def _reason(leaving: tuple[Pod, ...], more: int) -> str:
    pod = leaving[0]
    who = f"{pod.name} is about to be lost ({pod.leaving})"
    if len(leaving) > 1:
        who = f"{len(leaving)} pods are about to be lost, {pod.name} first ({pod.leaving})"
    if more <= 0:
        return f"{who}: nobody else can be spared meanwhile"
    return f"{who}: {'a replacement is' if more == 1 else f'{more} replacements are'} asked for"


def notes(ctx: Context) -> list[str]:
    if not ctx.fleet.leaving:
        return []
    named = ", ".join(f"{pod.name} ({pod.leaving})" for pod in ctx.fleet.leaving[:3])
    more = f" and {len(ctx.fleet.leaving) - 3} more" if len(ctx.fleet.leaving) > 3 else ""
    return [f"about to be lost, not counted on: {named}{more}"]
