"""The scale subresource: looked at again right before it is written, only if as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from autoscaler.act.executor import ActionError
from autoscaler.act.refusal import not_looked, not_written
from autoscaler.kube.hands import hands_of
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
    """GET and PUT of `path`/scale, and where it has changed since it was observed, the object
    between them. `left`: seconds for the next request; raises where there are none. Raises
    ActionError.

    Example: seen at 2, wanted 3. Between the reading and now somebody said 5: the write of 3 would
    take two replicas from them, so it is not made, and the next tick decides from 5.
    """
    from autoscaler.kube.client import KubeError

    where = f"{action.target.kind} {action.target.namespace}/{action.target.name}"
    scale = await _look(client, path, action, where, left)
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
    client: KubeClient, path: str, action: Action, where: str, left: Callable[[], float]
) -> Any:
    """The Scale, if it still is what the decision was made from."""
    from autoscaler.kube.client import KubeError

    try:
        scale = await client.get(f"{path}/scale", within=left())
    except KubeError as error:
        raise not_looked(where, error) from error
    before, found = action.before, replicas_of(scale)
    if found != before:
        raise ActionError(
            f"{where} had {before} replicas when it was observed and has {found} now: somebody "
            "else changed it; observed again next tick"
        )
    known = action.resource_version
    if known is not None and scale["metadata"].get("resourceVersion") != known:
        await _same_hands(client, path, action, where, left)
    return scale


async def _same_hands(
    client: KubeClient, path: str, action: Action, where: str, left: Callable[[], float]
) -> None:
    """The object, which shows the pause and the writer that a Scale does not. Our watch may be on a
    dead connection for half a minute, and a pause within it would be written past. A new status
    moves the version, too: that costs this look and keeps nobody from writing.

    A list, since our role may list targets and may not get them.
    """
    from autoscaler.kube.client import KubeError

    collection, _, name = path.rpartition("/")
    try:
        one = {"fieldSelector": f"metadata.name={name}"}
        items = (await client.get(collection, one, within=left())).get("items")
    except KubeError as error:
        raise not_looked(where, error, "list") from error
    if not items:
        raise not_looked(where, KubeError("not listed", 404), "list")
    hands = hands_of(items[0], action.target.kind)
    if hands.paused is not None:
        raise ActionError(
            f"{where} was paused since it was observed, {hands.paused}; nothing was written"
        )
    if hands.writer is not None and hands.writer != action.writer:
        raise ActionError(
            f"{where}: {hands.writer} set its replicas since it was observed; nothing was written, "
            "observed again next tick"
        )


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
