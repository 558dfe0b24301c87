"""Which pods are no supply on their way: broken ones, and those that wait for too long."""

from __future__ import annotations

import re
from collections.abc import Sequence

from autoscaler.decide.coldstart import UNMEASURED, lost_after, node_lost_after
from autoscaler.model import Pod, State

# In the words of Kubernetes. One restart may be bad luck, and its model is loading again;
# "2 restarts" is a loop between two crashes.
_BROKEN = re.compile(
    r"CrashLoopBackOff|OOMKilled \(|ImagePullBackOff|ErrImage|InvalidImageName|RunContainerError|"
    r"CreateContainer\w*Error|StartError| restarts|^(init )?container \S+ ended by"
)
_ONE_RESTART = re.compile(r"^running, not Ready \(.*, 1 restart,")


def broken(pod: Pod) -> bool:
    why = pod.waiting
    return why is not None and bool(_BROKEN.search(why)) and not _ONE_RESTART.match(why)


def stuck(unready: Sequence[Pod], state: State | None, now: float) -> tuple[Pod, ...]:
    """The pods that are no supply on its way."""
    if not unready:
        return ()
    on_node, without = UNMEASURED, UNMEASURED
    if state is not None:
        on_node, without = lost_after(state), node_lost_after(state)
    return tuple(
        pod for pod in unready if broken(pod) or _overdue(pod, on_node, without, now) is not None
    )


def _overdue(pod: Pod, on_node: float, without: float, now: float) -> float | None:
    """Seconds since its last progress where those are too many: a pod that waited 5 minutes for a
    node has its time from then on to pull and load.
    """
    if pod.created_at is None:
        return None
    if pod.scheduled_at is None and pod.node is None:
        limit, began = without, pod.created_at
    else:
        limit = on_node
        began = max(pod.created_at, pod.scheduled_at or 0.0, pod.started_at or 0.0)
    return now - began if now - began > limit else None


def unscheduled(pod: Pod) -> bool:
    return pod.node is None and pod.scheduled_at is None and pod.waiting is not None
