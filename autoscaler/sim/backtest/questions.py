"""What is asked of Prometheus for one target: raw counters, their sample times, its replicas."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from autoscaler.model import DutyCycle, GpuPower, Metric, Policy, Target, Windows
from autoscaler.observe.gpu import gpu_queries
from autoscaler.observe.triton import FAILURE, PART, PENDING, QUEUE, SUCCESS

COVERAGE, TIMES, REPLICAS, STARTS = "coverage", "sample times", "replicas", "starts"
COUNTERS = {"completions": SUCCESS, "queueing": QUEUE, "pending": PENDING}
FAILURES = "failures"
GPU = ("duty cycle", "power")

# By kind, the names kube-state-metrics gives: spec.replicas, ready replicas, and the label.
_KINDS = {
    "Deployment": (
        "kube_deployment_spec_replicas",
        "kube_deployment_status_replicas_ready",
        "deployment",
    ),
    "StatefulSet": (
        "kube_statefulset_replicas",
        "kube_statefulset_status_replicas_ready",
        "statefulset",
    ),
}


@dataclass(frozen=True, slots=True)
class Question:
    """`needed`: without its answer there is no backtest; else it is done without."""

    name: str
    query: str
    needed: bool = False


def selector(target: Target) -> str:
    """`namespace="default",pod=~"flower-.+"`: pods of others are told apart by their whole name."""
    name = re.escape(target.name).replace("\\-", "-").replace("\\", "\\\\")
    return f'namespace="{target.namespace}",pod=~"{name}-.+"'


def coverage(target: Target) -> Question:
    """How many series of the target there are, and of everybody: labels may have been renamed."""
    ours = f"count({SUCCESS}{{{selector(target)}}})"
    return Question(COVERAGE, _parts(ours=ours, all=f"count({SUCCESS})"), needed=True)


def questions(target: Target, policies: Sequence[Policy], windows: Windows) -> list[Question]:
    """Five for the counters, one for the replicas, and what the policies ask for besides."""
    which = selector(target)
    found = [
        Question(TIMES, f"max by (namespace,pod)(timestamp({SUCCESS}{{{which}}}))", needed=True)
    ]
    for name, metric in COUNTERS.items():
        found.append(Question(name, f"{metric}{{{which}}}", needed=name != "pending"))
    # A reason that never counted anything need not be sent.
    found.append(Question(FAILURES, f"{FAILURE}{{{which}}} > 0"))
    if target.kind in _KINDS:
        found.append(Question(REPLICAS, _replicas(target)))
    objectives = [objective for policy in policies for objective in policy.objectives]
    chain = gpu_queries(windows)
    for name, kind in zip(GPU, (DutyCycle, GpuPower), strict=True):
        if any(isinstance(objective, kind) for objective in objectives):
            ours = f"max by (namespace,pod)({SUCCESS}{{{which}}})"
            found.append(Question(name, f"({chain[name]}) and on (namespace,pod) {ours}"))
    queries = dict.fromkeys(o.query for o in objectives if isinstance(o, Metric))
    return found + [Question(f"query {text}", text) for text in queries]


def starts(target: Target, period: float) -> Question:
    """Median seconds from a pod's creation to its first Ready, by kube-state-metrics."""
    which = selector(target)
    took = f"kube_pod_status_ready_time{{{which}}} - on (namespace,pod) kube_pod_created{{{which}}}"
    # Ready again after a lapse is later: the least is the first.
    return Question(STARTS, f"quantile(0.5, min_over_time(({took})[{round(period)}s:10m]) > 0)")


def _replicas(target: Target) -> str:
    spec, ready, label = _KINDS[target.kind]
    own = f'{label}="{target.name}",namespace="{target.namespace}"'
    exported = f'{label}="{target.name}",exported_namespace="{target.namespace}"'

    def either(metric: str) -> str:
        return f"max({metric}{{{own}}} or {metric}{{{exported}}})"

    return _parts(spec=either(spec), ready=either(ready))


def _parts(**parts: str) -> str:
    """Several numbers in one answer, told apart by a label."""
    return " or ".join(
        f'label_replace({expression}, "{PART}", "{name}", "", "")'
        for name, expression in parts.items()
    )
