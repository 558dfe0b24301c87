"""Who is custom.metrics.k8s.io in this cluster, is it well, and what would break if it were us."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from autoscaler.run.doctor.checks.served import (
    NAMES,
    asks,
    is_ours,
    owner,
    served_names,
    services_of,
)
from autoscaler.run.doctor.evidence import Evidence, Object, Unread
from autoscaler.run.doctor.finding import Said, check
from autoscaler.serve.metrics_api.catalog import CUSTOM, EXTERNAL

MOVING = "docs/how-to/move-from-prometheus-adapter.md"
APPLY = "add manifests/components/metrics-api to your overlay and apply it"


@check("api-services", "kubernetes")
def state(evidence: Evidence) -> Iterator[Said]:
    recommends = any(policy.mode == "recommend" for policy in evidence.policies)
    for name, service in evidence.kube.api_services.items():
        if isinstance(service, Unread):
            yield _absent(name, service, recommends=recommends)
        else:
            yield from _present(name, service, recommends=recommends)


def _absent(name: str, why: Unread, *, recommends: bool) -> Said:
    if not why.absent:
        return Said("unknown", name, f"cannot be read: {why.reason}")
    if recommends and name.endswith(CUSTOM):
        return Said("fail", name, "nobody serves it, and mode recommend needs it", APPLY)
    return Said("ok", name, "nobody serves it, and no policy needs it")


def _present(name: str, service: Object, *, recommends: bool) -> Iterator[Said]:
    spec, mine = service["spec"], is_ours(service)
    who = "us" if mine else owner(service)
    trouble = _trouble(service)
    if trouble:
        what = f"served by {who}, and unavailable: {trouble}"
        yield Said("fail", name, what, f"kubectl describe apiservice {name}")
    elif not mine and recommends and name.endswith(CUSTOM):
        what = f"served by {who}: an HPA cannot see our metrics"
        yield Said("fail", name, what, f"{APPLY}: that takes it over; first read {MOVING}")
    else:
        yield Said("ok", name, f"served by {who}")
    if spec.get("insecureSkipTLSVerify"):
        what = f"insecureSkipTLSVerify: whoever answers at {who} decides about your replicas"
        yield Said(
            "warn", name, what, "give it a caBundle, as manifests/components/metrics-api does"
        )


def _trouble(service: Object) -> str | None:
    for condition in (service.get("status") or {}).get("conditions") or ():
        if condition["type"] == "Available" and condition["status"] != "True":
            words = condition.get("message") or condition.get("reason") or "no reason given"
            no_ca = not service["spec"].get("caBundle")
            if is_ours(service) and no_ca and "certificate" in words:
                words += " (no caBundle yet: the daemon writes it; may it patch APIServices?)"
            return str(words)
    return None


@check("displaced-metrics", "kubernetes")
def displaced(evidence: Evidence) -> Iterator[Said]:
    """One server a group: what others' HPAs lose on the day that we take it."""
    kube = evidence.kube
    for group in (CUSTOM, EXTERNAL):
        others = [service for service in services_of(kube, group) if not is_ours(service)]
        if not others:
            continue
        who = owner(others[0])
        if isinstance(kube.autoscalers, Unread):
            what = f"who uses {who} is not known: {kube.autoscalers.reason}"
            yield Said("unknown", group, what)
            continue
        theirs = served_names(kube, group)
        lost: dict[str, list[str]] = defaultdict(list)
        for ask in asks(kube.autoscalers):
            gone = isinstance(theirs, Unread) or ask.metric in theirs
            if ask.group == group and ask.metric not in NAMES and gone:
                lost[ask.metric].append(ask.name)
        for metric, hpas in sorted(lost.items()):
            some = ", ".join(sorted(set(hpas))[:3])
            what = f"{metric} of {who} would break for {some}: they would hold for ever"
            remedy = f"keep {who.split(' (')[0]}, or see {MOVING} (--metric-name, policy queries)"
            yield Said("warn", group, what, remedy)
        if not lost:
            yield Said("ok", group, f"no HPA uses what only {who} serves")
