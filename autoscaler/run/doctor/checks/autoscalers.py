"""HPAs: do they ask for metrics that somebody serves, and do they work?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from autoscaler.model import Target
from autoscaler.policy.diagnostics import did_you_mean
from autoscaler.run.doctor.checks.served import DESIRED, NAMES, Ask, asks, name_of, served_names
from autoscaler.run.doctor.evidence import Evidence, Object, Objects, Unread
from autoscaler.run.doctor.finding import CannotTell, Said, Status, check, count
from autoscaler.serve.metrics_api.catalog import CUSTOM, EXTERNAL

GONE = {"autoscaling/v2beta1": "1.25", "autoscaling/v2beta2": "1.26"}
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def scales(hpa: Object, targets: Iterable[Target]) -> bool:
    """Whether the HPA scales one of these; the reference's version may be an old one."""
    ref, namespace = hpa["spec"]["scaleTargetRef"], hpa["metadata"]["namespace"]
    return any(
        (namespace, ref.get("kind"), ref.get("name")) == (t.namespace, t.kind, t.name)
        for t in targets
    )


def readable(autoscalers: Objects) -> tuple[Object, ...]:
    """The HPAs; raises CannotTell."""
    if isinstance(autoscalers, Unread):
        raise CannotTell(f"HPAs cannot be read: {autoscalers.reason}")
    return autoscalers


@check("hpa-metrics", "kubernetes")
def metric_names(evidence: Evidence) -> Iterator[Said]:
    kube = evidence.kube
    served = {group: served_names(kube, group) for group in (CUSTOM, EXTERNAL)}
    targets = [policy.target for policy in evidence.policies]
    every = list(asks(readable(kube.autoscalers)))
    good = 0
    for ask in every:
        names = served[ask.group]
        bad: Status = "fail" if scales(ask.hpa, targets) else "warn"
        if isinstance(names, Unread):
            what = f"asks for {ask.metric}; who serves it cannot be told: {names.reason}"
            yield Said("unknown", ask.name, what)
        elif ask.metric not in names:
            yield _unserved(bad, ask, names)
        elif wrong := _wrong_object(ask, targets):
            yield Said(bad, ask.name, wrong, _edit(ask.hpa))
        else:
            good += 1
    if good or not every:
        yield Said("ok", "", f"HPAs ask for {count(good, 'metric')} that somebody serves")


def _unserved(status: Status, ask: Ask, names: frozenset[str]) -> Said:
    known = names or frozenset(NAMES)
    near = did_you_mean(ask.metric, sorted(known))
    who = "nobody serves" if names else f"nobody serves (no server of {ask.group})"
    what = f"asks for {ask.metric}, which {who}: it holds its size for ever"
    hint = f"did you mean {near}? " if near else ""
    return Said(status, ask.name, what, f"{hint}{_edit(ask.hpa)}")


def _wrong_object(ask: Ask, targets: Iterable[Target]) -> str | None:
    if ask.metric != DESIRED or ask.kind != "Object":
        return None
    namespace = ask.hpa["metadata"]["namespace"]
    there = sorted(f"{t.kind}/{t.name}" for t in targets if t.namespace == namespace)
    if not there or ask.of in there:
        return None
    return f"asks for {DESIRED} of {ask.of}; policies decide about {', '.join(there)}"


@check("hpa-active", "kubernetes", "policies")
def active(evidence: Evidence) -> Iterator[Said]:
    """What the HPA controller itself says of the HPAs on our targets."""
    targets = [policy.target for policy in evidence.policies]
    for hpa in readable(evidence.kube.autoscalers):
        if not scales(hpa, targets):
            continue
        conditions = (hpa.get("status") or {}).get("conditions") or ()
        stuck = [c for c in conditions if c["type"] == "ScalingActive" and c["status"] == "False"]
        for condition in stuck:
            what = f"does not scale: {condition.get('reason')}: {condition.get('message')}"
            yield Said("fail", name_of(hpa), what, _describe(hpa))
        if not stuck:
            yield Said("ok", name_of(hpa), "is active" if conditions else "has not run yet")


@check("hpa-version", "kubernetes")
def old_version(evidence: Evidence) -> Iterator[Said]:
    """Manifests in versions that are gone: what runs still runs, the next apply fails."""
    found = 0
    for hpa in readable(evidence.kube.autoscalers):
        for version in sorted(_written_as(hpa) & GONE.keys()):
            found += 1
            what = f"was applied as {version}, gone since Kubernetes {GONE[version]}"
            remedy = "write apiVersion: autoscaling/v2 and metrics[].target in its manifest"
            yield Said("warn", name_of(hpa), what, remedy)
        ref = hpa["spec"]["scaleTargetRef"]
        if ref.get("kind") == "Deployment" and ref.get("apiVersion") != "apps/v1":
            found += 1
            what = f"scaleTargetRef names {ref.get('apiVersion')}, Deployments are apps/v1"
            yield Said("warn", name_of(hpa), what, _edit(hpa))
    if not found:
        yield Said("ok", "", "all HPAs are written as autoscaling/v2 or v1")


def _written_as(hpa: Object) -> set[str]:
    metadata = hpa["metadata"]
    versions = {field.get("apiVersion", "") for field in metadata.get("managedFields") or ()}
    versions.add(str(last_applied(hpa).get("apiVersion", "")))
    return versions


def last_applied(thing: Object) -> Object:
    """The manifest as `kubectl apply` last sent it; empty where it came another way."""
    text = (thing["metadata"].get("annotations") or {}).get(APPLIED)
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}


def _edit(hpa: Object) -> str:
    return f"kubectl edit hpa -n {hpa['metadata']['namespace']} {hpa['metadata']['name']}"


def _describe(hpa: Object) -> str:
    return f"kubectl describe hpa -n {hpa['metadata']['namespace']} {hpa['metadata']['name']}"
