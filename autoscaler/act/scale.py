"""The scale subresource: looked at again right before it is written, and only if it is as seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from autoscaler.act.executor import ActionError
from autoscaler.act.refusal import not_looked, not_written
from autoscaler.model import Action

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient


async def set_replicas(
    client: KubeClient,
    path: str,
    action: Action,
    *,
    query: Mapping[str, str],
    left: Callable[[], float],
) -> None:
    """GET and PUT of `path`/scale. `left`: seconds for the next request; raises where there are
    none. Raises ActionError.

    Example: seen at 2, wanted 3. Between the reading and now somebody said 5: the write of 3 would
    take two replicas from them, so it is not made, and the next tick decides from 5.
    """
    from autoscaler.kube.client import KubeError

    where = f"{action.target.kind} {action.target.namespace}/{action.target.name}"
    scale = await _look(client, path, action.before, where, left)
    body = _scale(scale["metadata"], action.after)
    within = left()  # the look took time: the lease may be over
    try:
        answer = await client.request(
            "PUT", f"{path}/scale", query=dict(query), body=body, within=within
        )
    except KubeError as error:
        # A conflict too: whoever came between may have paused us, which a Scale does not show.
        raise not_written(where, error) from error
    _check(answer, action.after, where)


async def _look(
    client: KubeClient, path: str, before: int, where: str, left: Callable[[], float]
) -> Any:
    """The Scale, if it still is what the decision was made from."""
    from autoscaler.kube.client import KubeError

    try:
        scale = await client.get(f"{path}/scale", within=left())
    except KubeError as error:
        raise not_looked(where, error) from error
    found = replicas_of(scale)
    if found != before:
        raise ActionError(
            f"{where} had {before} replicas when it was observed and has {found} now: somebody "
            "else changed it; observed again next tick"
        )
    return scale


def _check(answer: Any, after: int, where: str) -> None:
    if replicas_of(answer) != after:
        raise ActionError(
            f"{where}: asked for {after} replicas, the API server made it {replicas_of(answer)}: "
            "an admission webhook of this cluster changes such writes"
        )


def replicas_of(scale: Any) -> int:
    """Zero is left out of a Scale's JSON."""
    return int((scale.get("spec") or {}).get("replicas", 0))


def _scale(seen: Any, replicas: int) -> dict[str, Any]:
    """With the resourceVersion of the look: whoever comes between makes it a conflict. With the
    uid: an object made anew under the same name is another one.
    """
    known = ("name", "namespace", "uid", "resourceVersion")
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {key: seen[key] for key in known if key in seen},
        "spec": {"replicas": replicas},
    }
