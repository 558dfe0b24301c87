"""Nothing more is ordered where every new pod fails; and each loss is told.

Pods that fail are no supply, and no reason to scale in. More of the same is no help either: the
pods that are there are the ones to watch.
"""

from __future__ import annotations

from autoscaler.decide.coldstart import node_lost_after
from autoscaler.decide.context import Context
from autoscaler.decide.failing import broken, unscheduled
from autoscaler.model import Pod, Step
from autoscaler.units import format_duration


def stop_ordering(ctx: Context, wanted: int) -> Step | None:
    """Past what is there nothing more, where the newest pods all fail.

    Two that break on different nodes tell of the image or the model, one may tell of its node.
    One that gets no node stands for the next one, too: it asks for the same.
    """
    if wanted <= ctx.current or not ctx.fleet.stuck:
        return None
    failing = _failing_since_the_last_success(ctx)
    if not failing or len(ctx.fleet.unready) > len(ctx.fleet.stuck):
        return None  # some are still on their way: they are the trial
    homeless = [pod for pod in failing if unscheduled(pod)]
    places = {pod.node or pod.name for pod in failing}
    if not homeless and len(places) < 2:
        return None
    pod = (homeless or failing)[0]
    if homeless:
        reason = f"no node for {pod.name} ({pod.waiting}), and one more would wait with it"
        return Step("lost", wanted, ctx.current, reason, "a node with a free GPU would let it go")
    reason = (
        f"every new pod fails, {pod.name} and {len(failing) - 1} more ({pod.waiting}): more of "
        "them would fail the same way"
    )
    return Step("lost", wanted, ctx.current, reason, "one of them Ready would let it go")


def _failing_since_the_last_success(ctx: Context) -> list[Pod]:
    """Lost pods that were never Ready, with Kubernetes' reason, created after the youngest that
    is. One that served and then ran out of memory is a matter of load: more replicas help it.
    """
    never = {arrival.pod for arrival in ctx.state.arrivals}
    success = max((pod.created_at or 0.0 for pod in ctx.fleet.pods), default=0.0)
    return [
        pod
        for pod in ctx.fleet.stuck
        if pod.name in never and (broken(pod) or unscheduled(pod))
        if pod.created_at is None or pod.created_at >= success
    ]


def notes(ctx: Context) -> list[str]:
    """Each kind of loss once, with a few names."""
    if not ctx.fleet.stuck:
        return []
    kinds: dict[str, list[str]] = {}
    for pod in ctx.fleet.stuck:
        kinds.setdefault(_words(pod), []).append(pod.name)
    said = []
    for words, names in kinds.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        said.append(f"{words}: {', '.join(names[:3])}{more}")
    if any(unscheduled(pod) for pod in ctx.fleet.stuck):
        waits = [ctx.now - (pod.created_at or ctx.now) for pod in ctx.fleet.stuck]
        limit = format_duration(node_lost_after(ctx.state))
        said.append(
            f"capacity lost: no node came within {limit}, waited for {format_duration(max(waits))}"
        )
    return said


def _words(pod: Pod) -> str:
    why = f" ({pod.waiting})" if pod.waiting else ""
    if broken(pod):
        return f"failing, not counted as on the way{why}"
    return f"not Ready for too long, not counted as on the way{why}"
