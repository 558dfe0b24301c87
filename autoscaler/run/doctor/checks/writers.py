"""Who else has a hand on the replicas of our targets?"""

from __future__ import annotations

from collections.abc import Iterator

from autoscaler.model import Policy
from autoscaler.run.doctor.checks.autoscalers import last_applied, readable, scales
from autoscaler.run.doctor.checks.served import name_of
from autoscaler.run.doctor.evidence import Evidence, Object, Unread
from autoscaler.run.doctor.finding import Said, check


@check("two-writers", "kubernetes", "policies")
def two_writers(evidence: Evidence) -> Iterator[Said]:
    for policy in evidence.policies:
        hpas = [h for h in readable(evidence.kube.autoscalers) if scales(h, [policy.target])]
        scaled = _scaled_objects(evidence, policy)
        # KEDA makes an HPA of its own for each ScaledObject: that pair is one writer.
        own = [h for h in hpas if not _made_by_keda(h)] if scaled else hpas
        yield _verdict(
            policy,
            [f"HPA {name_of(h)}" for h in own] + [f"ScaledObject {name_of(s)}" for s in scaled],
        )
    if isinstance(evidence.kube.scaled_objects, Unread) and not evidence.kube.scaled_objects.absent:
        yield Said("unknown", "", f"ScaledObjects: {evidence.kube.scaled_objects.reason}")


def _verdict(policy: Policy, writers: list[str]) -> Said:
    named = " and ".join(writers)
    if len(writers) > 1:
        what = f"{named} scale the same target: HPAs then do nothing (AmbiguousSelector), or fight"
        return Said(
            "fail", policy.key, what, f"delete all but one: kubectl delete {_typed(writers[1])}"
        )
    if policy.mode == "scale" and writers:
        what = f"{named} writes the replicas that mode scale wants to write"
        remedy = f"kubectl delete {_typed(writers[0])}, or mode: recommend"
        return Said("fail", policy.key, what, remedy)
    if policy.mode == "recommend" and not writers:
        what = "mode recommend, and no HPA or ScaledObject follows"
        return Said("warn", policy.key, what, "copy manifests/overlays/recommend/hpa.yaml")
    return Said("ok", policy.key, f"{named} scales it" if writers else "nobody else scales it")


def _typed(writer: str) -> str:
    kind, _, name = writer.partition(" ")
    namespace, _, short = name.partition("/")
    return f"{kind.lower()} -n {namespace} {short}"


def _scaled_objects(evidence: Evidence, policy: Policy) -> list[Object]:
    found = evidence.kube.scaled_objects
    if isinstance(found, Unread):
        return []
    target = policy.target
    return [
        item
        for item in found
        if item["metadata"]["namespace"] == target.namespace
        and (ref := item["spec"]["scaleTargetRef"])["name"] == target.name
        and ref.get("kind", "Deployment") == target.kind
    ]


def _made_by_keda(hpa: Object) -> bool:
    owners = hpa["metadata"].get("ownerReferences") or ()
    return any(owner.get("kind") == "ScaledObject" for owner in owners)


@check("applied-replicas", "kubernetes", "policies")
def applied_replicas(evidence: Evidence) -> Iterator[Said]:
    """`replicas` in an applied manifest: each apply takes the fleet back to that number."""
    for policy in evidence.policies:
        workload = evidence.kube.workloads.get(policy.target, Unread("it was not read"))
        if isinstance(workload, Unread):
            yield Said("unknown", policy.key, f"its owner fields are not known: {workload.reason}")
            continue
        manager = _applier(workload)
        if manager is not None:
            what = f"{manager} applies `replicas`: each apply undoes the scaling"
            yield Said("warn", policy.key, what, "leave `replicas` out of the target's manifest")
        else:
            yield Said("ok", policy.key, "no applied manifest sets its replicas")


def _applier(workload: Object) -> str | None:
    """Who sets replicas by manifest. An HPA's write takes the field over from a server-side
    apply, but not out of the manifest that a client-side one remembers."""
    if "replicas" in (last_applied(workload).get("spec") or {}):
        return "kubectl apply"
    for field in workload["metadata"].get("managedFields") or ():
        owns = "f:replicas" in (field.get("fieldsV1") or {}).get("f:spec", {})
        if owns and field.get("operation") == "Apply" and not field.get("subresource"):
            return str(field.get("manager", "somebody"))
    return None
