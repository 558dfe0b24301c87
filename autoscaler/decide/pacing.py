"""Stages 6 to 8: how fast the size may follow the wish, and between which bounds."""

from __future__ import annotations

from autoscaler.decide import behavior
from autoscaler.decide.context import Context
from autoscaler.model import Policy, Step
from autoscaler.units import format_duration


def correction(policy: Policy, current: int) -> Step | None:
    """A size outside the bounds is put right at once, past every window, policy and metric.

    0 was set by hand (or by someone who scales to zero): it is left alone, as the HPA does.
    """
    low, high = policy.replicas.min, policy.replicas.max
    if current == 0:
        reason = "the target is scaled to 0: somebody switched it off, so nothing is scaled"
        return Step("limits", 0, 0, reason, "set it to 1 or more and scaling starts again")
    if current > high:
        return Step("limits", current, high, f"{current} is above the maximum of {high}")
    if current < low:
        return Step("limits", current, low, f"{current} is below the minimum of {low}")
    return None


def stabilized(ctx: Context, wanted: int) -> Step | None:
    got = behavior.stabilize(
        ctx.policy.behavior, ctx.state.recommendations, ctx.current, wanted, ctx.now
    )
    if got.replicas == wanted:
        return None
    shrinking = wanted < got.replicas
    window = _window(ctx, shrinking)
    extreme = "highest" if shrinking else "lowest"
    if len(ctx.state.recommendations) == 1 and ctx.state.recommendations[0].at == ctx.now:
        does = "shrinks" if shrinking else "grows"
        reason = (
            f"this is the first look, and nothing {does} before {format_duration(window)} of them"
        )
        return Step("stabilization", wanted, got.replicas, reason, "looking on would let it go")
    reason = f"the {extreme} wish of the last {format_duration(window)} was {got.replicas}"
    left = (
        ""
        if got.until is None
        else f"that wish is forgotten in {format_duration(max(got.until - ctx.now, 0.0))}"
    )
    return Step("stabilization", wanted, got.replicas, reason, left)


def _window(ctx: Context, shrinking: bool) -> float:
    rules = ctx.policy.behavior
    if rules is None:
        return behavior.DOWNSCALE_STABILIZATION
    side = rules.scale_down if shrinking else rules.scale_up
    return side.stabilization_window


def rate_limited(ctx: Context, wanted: int) -> Step | None:
    """Rate policies and bounds in one, as the HPA applies them; the reason is the HPA's own."""
    state, bounds = ctx.state, ctx.policy.replicas
    got = behavior.limit(
        ctx.policy.behavior,
        state.scale_ups,
        state.scale_downs,
        ctx.current,
        wanted,
        bounds,
        ctx.now,
    )
    if got.replicas == wanted:
        return None
    if got.reason in {"TooManyReplicas", "TooFewReplicas"}:
        return limits(ctx.policy, wanted)
    side = "scaleUp" if wanted > ctx.current else "scaleDown"
    reason = f"{side} policies allow {got.replicas} now ({got.reason})"
    return Step("ratePolicies", wanted, got.replicas, reason, "each period allows more")


def cooldown(ctx: Context, wanted: int) -> Step | None:
    """Least time after any scaling, by whomever, before the next one in this direction."""
    if wanted == ctx.current or ctx.state.scaled_at is None:
        return None
    rules = ctx.policy.cooldown
    direction, least = (
        ("up", rules.scale_up) if wanted > ctx.current else ("down", rules.scale_down)
    )
    lasted = ctx.now - ctx.state.scaled_at
    if lasted >= least:
        return None
    left = format_duration(least - lasted)
    reason = (
        f"the last change was {format_duration(lasted)} ago and the cooldown before scaling "
        f"{direction} is {format_duration(least)}: {left} to go"
    )
    return Step("cooldown", wanted, ctx.current, reason, f"the cooldown ends in {left}")


def limits(policy: Policy, wanted: int) -> Step | None:
    low, high = policy.replicas.min, policy.replicas.max
    if wanted > high:
        return Step("limits", wanted, high, f"{high} is the maximum", f"a maximum of {wanted}")
    if wanted < low:
        return Step("limits", wanted, low, f"{low} is the minimum", f"a minimum of {wanted}")
    return None


def paused(policy: Policy, current: int, wanted: int) -> Step | None:
    if not policy.paused or wanted == current:
        return None
    reason = "the policy is paused"
    return Step("paused", wanted, current, reason, "paused: false lets it go")
