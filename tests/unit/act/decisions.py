"""Decisions and actions as a tick leaves them."""

from __future__ import annotations

from autoscaler.model import Action, Decision, Mode, PoolWish, ScaledPool, Target

FLOWER = Target("default", "flower")


def decided(
    hold: str | None = None,
    *,
    binding: str = "demand",
    name: str = "flower",
    mode: Mode = "scale",
    current: int = 2,
) -> Decision:
    return Decision(
        policy=f"default/{name}",
        target=Target("default", name),
        at=0.0,
        mode=mode,
        current=current,
        ready=current,
        desired=current,
        binding=binding,
        hold=hold,
        sentence="…",
        flip="",
    )


def scaled(before: int, after: int, name: str = "flower") -> Action:
    target = Target("default", name)
    return Action("scale", target, before, after, "demand: 310 requests/s", f"default/{name}")


def resized(before: int, after: int) -> Action:
    driver = ScaledPool("karpenter.sh/v1", "NodePool", "gpu")
    wish = PoolWish(driver, "nodes", before, after, "one replica more")
    return Action("pool", FLOWER, before, after, "one replica more", "default/flower", pool=wish)


def marked(**costs: int) -> Action:
    costs = {pod.replace("_", "-"): cost for pod, cost in costs.items()}
    return Action(
        "deletionCost", FLOWER, 0, 0, "whole nodes first", "default/flower", deletion_costs=costs
    )
