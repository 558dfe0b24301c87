"""What each driver asks of the Kubernetes API: looks, writes under our name, refusals in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autoscaler.act import refusal
from autoscaler.act.executor import ActionError
from autoscaler.model import Target

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient, KubeError

MANAGED_BY = "app.kubernetes.io/managed-by"
PLACEHOLDER = "triton-autoscaler/placeholder"
JSON, MERGE = "application/json", "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
COMPONENT = "manifests/components/nodepools"
Json = Mapping[str, Any]


class ConflictError(ActionError):
    """Changed between the look and the write: by its status mostly, which moves all the time."""


class Calls:
    """`within`: seconds for each call; the driver as a whole is bounded by its caller."""

    def __init__(self, client: KubeClient, within: float, *, dry_run: bool) -> None:
        from autoscaler.kube.paths import FIELD_MANAGER, Paths

        self.paths = Paths(client)
        self.within = within
        self._client = client
        self._query = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})

    async def look(self, path: str, where: str, query: dict[str, str] | None = None) -> Json:
        """Raises ActionError, also where it is not there."""
        found = await self.find(path, where, query)
        if found is None:
            raise ActionError(f"{where} is not there; observed again next tick")
        return found

    async def find(self, path: str, where: str, query: dict[str, str] | None = None) -> Json | None:
        """None where it is not there. Raises ActionError."""
        from autoscaler.kube.client import KubeError

        try:
            found: Json = await self._client.get(path, query, within=self.within)
        except KubeError as error:
            if error.status == 404:
                return None
            raise self._refused(where, error, "get", looked=True) from error
        return found

    async def put(self, path: str, body: Json, where: str) -> Json:
        """With the resourceVersion in `body`. Raises ActionError."""
        return await self._write("PUT", path, body, where)

    async def merge(self, path: str, body: Json, where: str) -> Json:
        """A JSON merge patch. Raises ActionError."""
        return await self._write("PATCH", path, body, where, content=MERGE)

    async def apply(self, path: str, body: Json, where: str) -> Json:
        """Server-side: made where it is not there, else our fields of it changed.

        A resourceVersion in `body` makes it a conflict where somebody came between. Raises
        ActionError.
        """
        return await self._write("PATCH", path, body, where, content=APPLY)

    async def _write(
        self, method: str, path: str, body: Json, where: str, *, content: str = JSON
    ) -> Json:
        from autoscaler.kube.client import KubeError

        # What somebody else has set of an object that is ours: `check_ours` was asked before.
        force = {"force": "true"} if content == APPLY else {}
        try:
            answer: Json = await self._client.request(
                method,
                path,
                query=self._query | force,
                body=body,
                content_type=content,
                within=self.within,
            )
        except KubeError as error:
            if error.status == 404:
                raise ActionError(await self._why_absent(path, where)) from error
            verb = "update" if method == "PUT" else "patch"
            if error.status == refusal.CONFLICT:
                raise ConflictError(str(refusal.not_written(where, error, verb))) from error
            raise self._refused(where, error, verb) from error
        return answer

    def _refused(
        self, where: str, error: KubeError, verb: str, *, looked: bool = False
    ) -> ActionError:
        if error.status == 403 and " cannot " in str(error):
            return ActionError(
                f"{where}: not allowed to {verb} it ({error}): apply {COMPONENT} and bind its role"
            )
        if looked:
            return refusal.not_looked(where, error)
        return refusal.not_written(where, error, verb)

    async def _why_absent(self, path: str, where: str) -> str:
        """An apply makes what is not there: 404 means that the kind or its version is not."""
        from autoscaler.kube.client import KubeError

        _, _, group, version, *_ = path.split("/")
        try:
            found = await self._client.get(f"/apis/{group}", within=self.within)
        except KubeError as error:
            if error.status == 404:
                return (
                    f"{where}: this cluster has no {group}: install its CRD, or use another driver"
                )
            return f"{where}: the API server does not know {group}/{version} ({error})"
        served = ", ".join(str(one.get("version")) for one in found.get("versions") or ())
        if version in served.split(", "):
            return f"{where} is not there any more; observed again next tick"
        return (
            f"{where}: this cluster serves {group} in {served} only, and {version} is needed: "
            "update the CRD and the autoscaler that brings it"
        )


def target_name(target: Target) -> str:
    return f"{target.kind} {target.namespace}/{target.name}"


def check_ours(found: Json | None, target: Target, where: str, setting: str) -> None:
    """Raises ActionError where an object of that name is there and we did not make it for this
    target. `setting` is where the policy names it.
    """
    from autoscaler.kube.paths import FIELD_MANAGER

    if found is None:
        return
    metadata = found["metadata"]
    remedy = f"name another one in {setting}"
    if (metadata.get("labels") or {}).get(MANAGED_BY) != FIELD_MANAGER:
        raise ActionError(
            f"{where} is not ours (no label {MANAGED_BY}={FIELD_MANAGER}) and is left alone: "
            f"{remedy}"
        )
    owners = metadata.get("ownerReferences") or ()
    if owners and all((one["kind"], one["name"]) != (target.kind, target.name) for one in owners):
        others = ", ".join(f"{one['kind']} {one['name']}" for one in owners)
        raise ActionError(f"{where} is kept for {others}: {remedy}")


def is_placeholder(pod: Json) -> bool:
    """Whether a pod is one of our placeholders."""
    return PLACEHOLDER in (pod["metadata"].get("labels") or {})


def check_size(found: Json | None, before: int, where: str) -> None:
    """Raises ActionError where it is not of the size that the decision was made from."""
    size = int((found["spec"].get("replicas") if found else 0) or 0)
    if size != before:
        raise ActionError(
            f"{where} was of size {before} when it was observed and is {size} now: somebody else "
            "changed it; observed again next tick"
        )


def ours(name: str, target: Target, owner: Json, found: Json | None) -> dict[str, Any]:
    """The metadata of an object that we keep for a target: it goes when the target goes."""
    from autoscaler.kube.paths import FIELD_MANAGER

    reference = {
        "apiVersion": target.api_version,
        "kind": target.kind,
        "name": target.name,
        "uid": owner["metadata"]["uid"],
    }
    seen = {"resourceVersion": found["metadata"]["resourceVersion"]} if found else {}
    return {
        "name": name,
        "namespace": target.namespace,
        "labels": {MANAGED_BY: FIELD_MANAGER},
        "ownerReferences": [reference],
        **seen,
    }
