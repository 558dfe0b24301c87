"""The HPAs and ScaledObjects of a namespace, and the freeze of everything: listed or watched."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from autoscaler.kube.hands import FREEZE, SCALED_OBJECT, Owner, Scaler, freeze_of
from autoscaler.kube.paths import collection
from autoscaler.model import Target

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient

T = TypeVar("T")

HPAS = "horizontalpodautoscalers"
SCALED_OBJECTS = "scaledobjects"
KEDA = "keda.sh/v1alpha1"
PAGE = "500"
FROZEN_BY = {"fieldSelector": f"metadata.name={FREEZE}"}


class Scalers:
    """By what they scale. `unknown`: why some of them may not be known, in words."""

    def __init__(self, scalers: Iterable[Scaler] = (), unknown: Iterable[str] = ()) -> None:
        self.unknown = tuple(unknown)
        self._by_scaled: dict[tuple[str, str, str], list[Scaler]] = {}
        for one in scalers:
            self._by_scaled.setdefault((one.namespace, one.of_kind, one.of_name), []).append(one)

    def others(self, target: Target, owner: Owner | None) -> tuple[str, ...]:
        """All that scale the target, or what owns it: an owner hands its size down.

        Where they could not be read that is said instead: nobody known is not nobody.
        """
        direct = self._of(target.namespace, target.api_version, target.kind, target.name)
        above: list[str] = []
        if owner is not None:
            found = self._of(target.namespace, owner.api_version, owner.kind, owner.name)
            above = [f"{one}, through {owner}, which owns it" for one in found]
        return (*direct, *above, *self.unknown)

    def _of(self, namespace: str, api_version: str, kind: str, name: str) -> list[str]:
        """Versions of a group are one object: apps/v1 and apps/v1beta2. A ScaledObject and the
        HPA that KEDA made for it are one hand.
        """
        group = api_version.rpartition("/")[0]
        hands: dict[tuple[str, str], Scaler] = {}
        for one in self._by_scaled.get((namespace, kind, name), ()):
            if one.group in {"", group}:
                key = (SCALED_OBJECT, one.behind) if one.behind else (one.kind, one.name)
                if key not in hands or one.behind:
                    hands[key] = one
        return [str(hands[key]) for key in sorted(hands)]


NO_SCALERS = Scalers()


class HandsSource(Protocol):
    """Never raises for what the API server does: what is not known is said in words."""

    async def refresh(self, namespaces: Collection[str], within: float) -> None:
        """For targets in these namespaces; at most so many seconds."""

    def scalers(self, namespace: str) -> Scalers: ...

    def freeze(self) -> str | None:
        """Why nothing at all may be written."""


async def has_keda(client: KubeClient, within: float) -> bool | None:
    """None where the API server does not say."""
    from autoscaler.kube.client import KubeError

    try:
        await client.get(f"/apis/{KEDA}", within=within)
    except KubeError as error:
        return False if error.status == 404 else None
    return True


def paths_of(namespace: str) -> tuple[str, str]:
    """Of the HPAs and of the ScaledObjects."""
    return (
        collection("autoscaling/v2", HPAS, namespace),
        collection(KEDA, SCALED_OBJECTS, namespace),
    )


def freeze_path(namespace: str) -> str:
    return collection("v1", "configmaps", namespace)


def untold(resource: str, namespace: str, status: int, said: str) -> str:
    """Why it cannot be told who else scales a target, and what to type."""
    if status != 403:
        return f"cannot tell who else scales it: {resource} in namespace {namespace}: {said}"
    return (
        f"cannot tell who else scales it: not allowed to list {resource} in namespace {namespace} "
        f"({said}): try `kubectl create role triton-autoscaler-hands -n {namespace} "
        f"--verb=list,watch --resource={resource}` and bind it"
    )


def freeze_untold(namespace: str, status: int, said: str) -> str:
    """A switch that cannot be seen may be off: it is taken for off, and that is said."""
    if status != 403:
        return f"cannot tell whether all is frozen ({FREEZE}): {said}"
    return (
        f"cannot tell whether all is frozen: not allowed to list ConfigMap {FREEZE} in namespace "
        f"{namespace} ({said}): try `kubectl create role triton-autoscaler-freeze -n {namespace} "
        f"--verb=list,watch --resource=configmaps --resource-name={FREEZE}` and bind it"
    )


async def frozen(client: KubeClient, namespace: str, within: float) -> str | None:
    """The freeze of everything, asked for now: why nothing at all may be written."""
    from autoscaler.kube.client import KubeError

    try:
        items = await listed(client, freeze_path(namespace), FROZEN_BY, within)
    except KubeError as error:
        return freeze_untold(namespace, error.status, str(error))
    return freeze_of(items[0]) if items else None


async def listed(
    client: KubeClient, path: str, query: Mapping[str, str], within: float
) -> list[Any]:
    """All pages: a list that stops at the first 500 would lose the rest without a word."""
    items: list[Any] = []
    asked = {**query, "limit": PAGE}
    while True:
        page = await client.get(path, asked, within=within)
        items += page.get("items") or ()
        more = (page.get("metadata") or {}).get("continue")
        if not more:
            return items
        asked["continue"] = more


def trimmed(items: Iterable[Any], trim: Callable[[Any], T]) -> list[T]:
    """What `trim` makes of each; one that it can make nothing of is left out, as a watch does."""
    found = []
    for item in items:
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            found.append(trim(item))
    return found
