"""Replicas, pods and other hands from Kubernetes: the port, and the reader that asks each time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from autoscaler.kube.hands import NO_HANDS
from autoscaler.kube.paths import Paths, collection
from autoscaler.model import Hands, Missing, Pod, Replicas, Target
from autoscaler.observe.polled_hands import PolledHands
from autoscaler.observe.rows import WATCHED, PodRow, TargetRow, belongs, pod_row, target_row
from autoscaler.observe.scalers import HandsSource, Scalers, listed, trimmed
from autoscaler.units import format_duration

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient

# Requests under way at once: the API server's fairness would queue more of them anyhow.
CONCURRENCY = 16
PLURALS = WATCHED


@dataclass(frozen=True, slots=True)
class TargetReading:
    """`pods` are all that the selector gives, terminating ones too, without signals."""

    replicas: Replicas
    pods: tuple[Pod, ...]
    selector: str
    labels: Mapping[str, str] = field(default_factory=dict)  # the target's own, where known
    pod_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by pod name
    uid: str = ""
    hands: Hands = NO_HANDS  # `others` and the freeze only where the target is ours to scale
    unrequested: bool = False  # its pod template names GPUs as limits and not as requests
    notes: tuple[str, ...] = ()  # what else is to be known of it, in words


@dataclass(frozen=True, slots=True)
class ClusterReading:
    targets: Mapping[Target, TargetReading | Missing]


class Cluster(Protocol):
    """Never raises for what the API server does: a target that cannot be read is Missing."""

    async def read(
        self,
        targets: Sequence[Target],
        now: float,
        deadline: float,
        scaled: Collection[Target] = frozenset(),
    ) -> ClusterReading:
        """`scaled`: those whose replicas we write, for which other hands are looked for too."""


class KubernetesCluster:
    """Asks the API server on each read: two LISTs (paged) for each target, the object itself and
    its pods; its /scale where the object may not be listed, and for kinds known by that only.
    """

    def __init__(self, client: KubeClient, own: str | None = None) -> None:
        self._client = client
        self._paths = Paths(client)
        self._hands = PolledHands(client, own or client.namespace)

    async def read(
        self,
        targets: Sequence[Target],
        now: float,  # noqa: ARG002 -- the API server answers for this moment
        deadline: float,
        scaled: Collection[Target] = frozenset(),
    ) -> ClusterReading:
        due = asyncio.get_running_loop().time() + deadline
        namespaces = {one.namespace for one in targets if one in scaled}
        _, found = await asyncio.gather(
            self._hands.refresh(namespaces, deadline), self.rows(targets, due)
        )
        return ClusterReading(
            {
                target: row
                if isinstance(row, Missing)
                else reading_of(target, *row, hands_for(target, self._hands, scaled))
                for target, row in zip(targets, found, strict=True)
            }
        )

    async def rows(
        self, targets: Sequence[Target], due: float
    ) -> list[tuple[TargetRow, list[PodRow], str] | Missing]:
        """Each target, its pods and its selector; `due` is of the event loop's clock."""
        limit = asyncio.Semaphore(CONCURRENCY)
        deadline = due - asyncio.get_running_loop().time()

        async def one(target: Target) -> tuple[TargetRow, list[PodRow], str] | Missing:
            try:
                async with asyncio.timeout_at(due), limit:
                    return await self._target(target, due)
            except TimeoutError:
                waited = format_duration(deadline)
                return Missing(f"Kubernetes gave no answer on {target.name} within {waited}")

        return await asyncio.gather(*(one(target) for target in targets))

    async def _target(
        self, target: Target, due: float
    ) -> tuple[TargetRow, list[PodRow], str] | Missing:
        from autoscaler.kube.client import KubeError

        what = "scale"
        try:
            row = await self._object(target, due)
            selector = "" if row is None else ",".join(map(str, row.selector))
            if row is None or (target.api_version, target.kind) not in WATCHED:
                row, selector = await self._scale(target, row, due)
            if not selector:
                return Missing(f"/scale of {target.kind} {target.name} names no pod selector")
            what = "pods"
            path = collection("v1", "pods", target.namespace)
            items = await listed(self._client, path, {"labelSelector": selector}, _left(due))
        except KubeError as error:
            return Missing(remedy(target, what, error))
        pods = [pod for pod in trimmed(items, pod_row) if belongs(pod.owner, target)]
        return row, pods, selector

    async def _object(self, target: Target, due: float) -> TargetRow | None:
        """None where it may not be listed. A list, since our role may list and may not get: a
        watch begins with one.
        """
        from autoscaler.kube.client import KubeError

        plural = await self._paths.plural(target.api_version, target.kind, _left(due))
        path = collection(target.api_version, plural, target.namespace)
        try:
            one = {"fieldSelector": f"metadata.name={target.name}"}
            items = await listed(self._client, path, one, _left(due))
        except KubeError as error:
            if error.status == 403:
                return None
            raise
        if not items:
            raise KubeError("not there", 404)
        return target_row(items[0], target.kind)

    async def _scale(
        self, target: Target, known: TargetRow | None, due: float
    ) -> tuple[TargetRow, str]:
        """What every kind's /scale says, and its selector; the rest as far as it is known."""
        path = await self._paths.target(target, _left(due))
        scale = await self._client.get(f"{path}/scale", within=_left(due))
        metadata = scale.get("metadata") or {}
        hands = known.hands if known else Hands(others=(UNLISTED.format(kind=target.kind),))
        row = TargetRow(
            # Zero is left out of a Scale's JSON.
            replicas=int((scale.get("spec") or {}).get("replicas", 0)),
            selector=(),
            resource_version=metadata["resourceVersion"],
            labels=known.labels if known else {},
            uid=metadata.get("uid") or "",
            hands=hands,
            owner=known.owner if known else None,
            unrequested=known.unrequested if known else False,
        )
        return row, (scale.get("status") or {}).get("selector") or ""


OWNED = "{owner} owns it and may set its replicas back: where that has a /scale, make it the target"
# What scales a namespace's targets, and the freeze.
OtherHands: TypeAlias = tuple[Scalers, str | None]

# A pause or another writer could not be seen: said only where we would write.
UNLISTED = (
    "cannot tell who else writes its replicas, nor whether it is paused: not allowed to list "
    "{kind}s: the role of the base manifests allows it"
)


def hands_for(target: Target, source: HandsSource, scaled: Collection[Target]) -> OtherHands | None:
    if target not in scaled:
        return None
    return source.scalers(target.namespace), source.freeze()


def reading_of(
    target: Target,
    row: TargetRow,
    pods: Sequence[PodRow],
    selector: str,
    hands: OtherHands | None,
) -> TargetReading:
    """The same from lists and from watches. `hands`: None where we do not write the replicas."""
    found = row.hands
    if hands is None:
        if found.others:
            found = replace(found, others=())
    else:
        scalers, freeze = hands
        others = scalers.others(target, row.owner)
        if others or freeze:
            others = (*found.others, *others)
            found = replace(found, others=others, paused=freeze or found.paused)
    return TargetReading(
        Replicas(
            row.replicas,
            sum(one.pod.ready and not one.pod.terminating for one in pods),
            resource_version=row.resource_version,
        ),
        tuple([one.pod for one in pods]),
        selector,
        labels=row.labels,
        pod_labels={one.pod.name: one.labels for one in pods},
        uid=row.uid,
        hands=found,
        unrequested=row.unrequested,
        notes=(OWNED.format(owner=row.owner),) if hands is not None and row.owner else (),
    )


def _left(due: float) -> float:
    # A little more than is left: `read` speaks of the whole time, not of this call's share.
    return due - asyncio.get_running_loop().time() + 0.5


def remedy(target: Target, what: str, error: Exception) -> str:
    """The reason, and what to type."""
    kind, name, namespace = target.kind, target.name, target.namespace
    status = getattr(error, "status", 0)
    resource = "pods" if what == "pods" else f"{kind.lower()}s/scale"
    if status == 403:
        verb = "list" if what == "pods" else "get"
        return (
            f"not allowed to {verb} {resource} in namespace {namespace} ({error}): try "
            f"`kubectl create role triton-autoscaler -n {namespace} --verb={verb} "
            f"--resource={resource}` and bind it"
        )
    if status == 404:
        return (
            f"no {kind} {name} in namespace {namespace}, or it has no /scale ({error}): see "
            f"`kubectl get {kind.lower()}s -n {namespace}`"
        )
    if status == 401:
        return f"Kubernetes does not know us ({error}): renew the token, see `kubectl auth whoami`"
    return f"Kubernetes, {kind} {namespace}/{name}: {error}"
