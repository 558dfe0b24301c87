"""Why Prometheus does not scrape a target: the usual slips of a PodMonitor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autoscaler.model import Policy
from autoscaler.run.doctor.checks.labels import mismatch
from autoscaler.run.doctor.checks.series import fresh
from autoscaler.run.doctor.evidence import Evidence, Object, PrometheusEvidence, Unread
from autoscaler.run.doctor.finding import Said, check

METRICS_PORT = 8002


@check("pod-monitor", "kubernetes", "policies")
def pod_monitor(evidence: Evidence) -> Iterator[Said]:
    for policy in evidence.policies:
        if _has_series(evidence, policy):
            yield Said("ok", policy.key, "Prometheus scrapes its pods")
            continue
        monitors = evidence.kube.pod_monitors
        workload = evidence.kube.workloads.get(policy.target, Unread("it was not read"))
        if isinstance(workload, Unread):
            yield Said("unknown", policy.key, f"its pod template is not known: {workload.reason}")
        elif isinstance(monitors, Unread):
            yield _without_operator(policy, monitors)
        else:
            yield from _compare(evidence, policy, workload, monitors)


def _has_series(evidence: Evidence, policy: Policy) -> bool:
    seen = evidence.prometheus
    if not isinstance(seen, PrometheusEvidence) or seen.readings.failed:
        return False
    return bool(fresh(evidence, policy))


def _without_operator(policy: Policy, why: Unread) -> Said:
    if why.absent:
        what = "the cluster has no PodMonitors (no Prometheus operator)"
        remedy = "let Prometheus scrape port 8002 of its pods through kubernetes_sd_configs"
        return Said("warn", policy.key, what, remedy)
    return Said("unknown", policy.key, f"PodMonitors cannot be read: {why.reason}")


def _compare(
    evidence: Evidence, policy: Policy, workload: Object, monitors: tuple[Object, ...]
) -> Iterator[Said]:
    """The monitors that nearly fit, each with its first slip."""
    slips = []
    for monitor in monitors:
        slip = _slip(monitor, policy, workload)
        if slip is None:
            slip = _unselected(evidence, monitor)
        if slip is None:
            what = f"PodMonitor {_name(monitor)} selects its pods, yet Prometheus has no series"
            remedy = "look at /targets in Prometheus: is the pod down, or its port closed?"
            yield Said("warn", policy.key, what, remedy)
            return
        slips.append((slip[0], f"PodMonitor {_name(monitor)} {slip[1]}", slip[2]))
    if not slips:
        what = "no PodMonitor exists"
        yield Said("fail", policy.key, what, "copy manifests/overlays/flower/pod-monitor.yaml")
        return
    _, what, remedy = max(slips, key=lambda slip: slip[0])
    yield Said("fail", policy.key, f"not scraped: {what}", remedy)


# How near to fitting, what is wrong, what to type.
Slip = tuple[int, str, str]


def _slip(monitor: Object, policy: Policy, workload: Object) -> Slip | None:
    spec, namespace = monitor["spec"], policy.target.namespace
    template = workload["spec"]["template"]
    wrong = mismatch(spec.get("selector") or {}, (template["metadata"].get("labels") or {}))
    edit = f"kubectl edit podmonitor -n {monitor['metadata']['namespace']} "
    edit += monitor["metadata"]["name"]
    if wrong is not None:
        return 0, f"does not select its pods: {wrong}", edit
    where = spec.get("namespaceSelector") or {}
    named = where.get("matchNames") or [monitor["metadata"]["namespace"]]
    if not where.get("any") and namespace not in named:
        return 2, f"looks in {', '.join(named)}, not in {namespace}", edit
    return _port_slip(spec, template, edit)


def _port_slip(spec: dict[str, Any], template: dict[str, Any], edit: str) -> Slip | None:
    endpoints = spec.get("podMetricsEndpoints") or ()
    ports = {
        port.get("name"): port["containerPort"]
        for container in template["spec"]["containers"]
        for port in container.get("ports") or ()
    }
    asked = [e.get("port") for e in endpoints if e.get("port")]
    numbered = any("portNumber" in e or "targetPort" in e for e in endpoints)
    if numbered or any(port in ports for port in asked):
        return None
    metrics = [name for name, number in ports.items() if number == METRICS_PORT and name]
    there = ", ".join(str(name) for name in ports) or "none"
    what = f"asks for port {', '.join(asked) or '(none)'}; the pods have {there}"
    return 3, what, f"{edit}: port: {metrics[0]}" if metrics else edit


def _unselected(evidence: Evidence, monitor: Object) -> Slip | None:
    """A Prometheus takes only the PodMonitors that its own selector names (`release: …`)."""
    prometheuses = evidence.kube.prometheuses
    if isinstance(prometheuses, Unread) or not prometheuses:
        return None
    labels = monitor["metadata"].get("labels") or {}
    wrong = ""
    for server in prometheuses:
        selector = server["spec"].get("podMonitorSelector")
        if selector is None:
            wrong = f"Prometheus {_name(server)} selects no PodMonitors at all"
            continue
        slip = mismatch(selector, labels)
        if slip is None:
            return None
        wrong = f"Prometheus {_name(server)} {slip}"
    metadata = monitor["metadata"]
    wanted = (prometheuses[0]["spec"].get("podMonitorSelector") or {}).get("matchLabels") or {}
    label = " ".join(f"{key}={value}" for key, value in wanted.items())
    remedy = f"kubectl label podmonitor -n {metadata['namespace']} {metadata['name']} {label}"
    return 4, f"is not taken: {wrong}", remedy if label else ""


def _name(thing: Object) -> str:
    return f"{thing['metadata'].get('namespace', '')}/{thing['metadata']['name']}"
