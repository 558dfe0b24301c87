"""The cluster, and the targets in it."""

from __future__ import annotations

from collections.abc import Iterator

from autoscaler.model import Missing
from autoscaler.run.doctor.evidence import Evidence, Unread
from autoscaler.run.doctor.finding import Said, check, count


@check("kubernetes-reachable")
def reachable(evidence: Evidence) -> Iterator[Said]:
    cluster = evidence.cluster
    if isinstance(cluster, Unread):
        what = f"{cluster.reason}; pods are told by their names in the series"
        yield Said("unknown", "", what, "--kubeconfig FILE, --context NAME")
        return
    major, minor = cluster.version
    yield Said(
        "ok", cluster.host, f"is Kubernetes {major}.{minor}; rights are those of {cluster.who}"
    )


@check("target", "kubernetes", "policies")
def target(evidence: Evidence) -> Iterator[Said]:
    for policy in evidence.policies:
        name = f"{policy.target.kind} {policy.target.namespace}/{policy.target.name}"
        reading = evidence.kube.targets.targets.get(policy.target, Missing("it was not read"))
        if isinstance(reading, Missing):
            what, _, remedy = reading.missing.partition(": try ")
            yield Said("fail", policy.key, what, f"try {remedy}" if remedy else "")
            continue
        replicas = reading.replicas
        what = f"{name}: {count(replicas.desired, 'replica')}, {replicas.ready} ready"
        yield Said("ok", policy.key, what)
