"""Do Triton's series exist, and are they those of pods that live?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from autoscaler.model import Missing, ModelSignals, Policy
from autoscaler.observe.names import Owners
from autoscaler.observe.port import PodKey, PodReading
from autoscaler.run.doctor.evidence import ClusterEvidence, Evidence
from autoscaler.run.doctor.finding import Said, check, count
from autoscaler.units import format_duration

# What a decision is made from; the slow ones miss for the same reasons.
SIGNALS = ("arrivals", "completions", "queueing", "pending")


@check("series", "prometheus", "policies")
def series(evidence: Evidence) -> Iterator[Said]:
    for policy in evidence.policies:
        live = live_pods(evidence, policy)
        if isinstance(live, Missing):
            yield Said("unknown", policy.key, f"which pods live is not known: {live.missing}")
        elif not live:
            yield from _nobody(evidence, policy)
        else:
            yield _joined(evidence, policy, live)


@check("signals", "prometheus", "policies")
def signals(evidence: Evidence) -> Iterator[Said]:
    """Series that are there and say nothing: an old Triton, counters switched off."""
    for policy in evidence.policies:
        readings = fresh(evidence, policy)
        models = [model for reading in readings for model in reading.models]
        if not models:
            continue
        reasons = Counter(reason for model in models for reason in _missing(model))
        for reason, hit in reasons.most_common(3):
            what = f"{hit} of {count(len(models), 'model')} tell less: {reason}"
            yield Said("warn", policy.key, what)
        if not reasons:
            yield Said(
                "ok",
                policy.key,
                f"load, queue and backlog of {count(len(models), 'model')} are told",
            )


def live_pods(evidence: Evidence, policy: Policy) -> tuple[PodKey, ...] | Missing:
    """By Kubernetes; without it, by the names of the pods in the series."""
    cluster = evidence.cluster
    if not isinstance(cluster, ClusterEvidence):
        owners = Owners([policy.target])
        return tuple(key for key in evidence.seen.readings.pods if owners.of(*key))
    target = cluster.targets.targets.get(policy.target, Missing("the target was not read"))
    if isinstance(target, Missing):
        return target
    namespace = policy.target.namespace
    return tuple(
        (namespace, pod.name)
        for pod in target.pods
        if not pod.terminating and pod.phase == "Running"
    )


def fresh(evidence: Evidence, policy: Policy) -> Sequence[PodReading]:
    """What Prometheus has of the policy's live pods and is not old."""
    live = live_pods(evidence, policy)
    readings = evidence.seen.readings
    if isinstance(live, Missing):
        return ()
    known = [readings.pods[key] for key in live if key in readings.pods]
    return [reading for reading in known if readings.at - reading.fresh_at <= readings.fresh_for]


def _joined(evidence: Evidence, policy: Policy, live: tuple[PodKey, ...]) -> Said:
    readings = evidence.seen.readings
    unseen = [name for key in live for name in [key[1]] if key not in readings.pods]
    old = [
        key[1]
        for key in live
        if key in readings.pods and readings.at - readings.pods[key].fresh_at > readings.fresh_for
    ]
    if len(unseen) == len(live):
        elsewhere = sorted({ns for ns, pod in readings.pods if pod in set(unseen)})
        if elsewhere:
            what = f"its pods' series carry namespace {elsewhere[0]}, not {policy.target.namespace}"
            return Said("fail", policy.key, what, "drop the relabelling of `namespace`")
        what = f"none of its {count(len(live), 'live pod')} has Triton's series"
        return Said("fail", policy.key, what, "see pod-monitor below; is port 8002 scraped?")
    if unseen or old:
        named = ", ".join([*unseen, *old][:3])
        limit = format_duration(readings.fresh_for)
        pods = count(len(live), "live pod")
        what = (
            f"{len(unseen)} of {pods} have no series, {len(old)} none newer than {limit}: {named}"
        )
        remedy = (
            f"kubectl get pods -n {policy.target.namespace} -o wide; then /targets in Prometheus"
        )
        return Said("warn", policy.key, what, remedy)
    how = "" if isinstance(evidence.cluster, ClusterEvidence) else ", by their names"
    return Said("ok", policy.key, f"fresh series of {count(len(live), 'live pod')}{how}")


def _nobody(evidence: Evidence, policy: Policy) -> Iterator[Said]:
    name, namespace = policy.target.name, policy.target.namespace
    if isinstance(evidence.cluster, ClusterEvidence):
        remedy = f"kubectl get pods -n {namespace}"
        yield Said("warn", policy.key, "its target has no running pod", remedy)
        return
    others = sorted({ns for ns, _ in evidence.seen.readings.pods})
    seen = f"; series exist in {', '.join(others[:3])}" if others else ""
    what = f"no series of pods named {name}-… in namespace {namespace}{seen}"
    yield Said(
        "fail", policy.key, what, "check the target's name, or let Prometheus scrape port 8002"
    )


def _missing(model: ModelSignals) -> set[str]:
    values = (getattr(model, name) for name in SIGNALS)
    return {value.missing for value in values if isinstance(value, Missing)}
