"""All checks in the order of an SRE's questions, and the one way through them."""

from __future__ import annotations

from collections.abc import Iterator

from autoscaler.run.doctor.checks import (
    access,
    api_services,
    autoscalers,
    followers,
    gpu,
    prometheus,
    scraping,
    series,
    targets,
    writers,
)
from autoscaler.run.doctor.evidence import Evidence, Unread
from autoscaler.run.doctor.finding import CannotTell, Check, Finding

CHECKS: tuple[Check, ...] = (
    prometheus.policies,
    prometheus.reachable,
    prometheus.version,
    prometheus.answers,
    prometheus.scrape_interval,
    prometheus.policy_windows,
    prometheus.policy_query,
    series.series,
    series.signals,
    gpu.duty_cycle,
    targets.reachable,
    targets.target,
    scraping.pod_monitor,
    access.rights,
    api_services.state,
    api_services.displaced,
    autoscalers.metric_names,
    autoscalers.active,
    autoscalers.old_version,
    followers.tolerance,
    followers.behavior,
    followers.bounds,
    writers.two_writers,
    writers.applied_replicas,
)


def examine(evidence: Evidence) -> tuple[Finding, ...]:
    """Every check on the evidence; one that cannot look says why. Never raises for data."""
    return tuple(finding for check in CHECKS for finding in _run(check, evidence))


def _run(check: Check, evidence: Evidence) -> Iterator[Finding]:
    lacking = _lacks(check, evidence)
    if lacking is not None:
        yield lacking
        return
    try:
        said = list(check.look(evidence))
    except CannotTell as why:
        yield Finding(check.id, "unknown", "", str(why))
        return
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"an answer has a strange shape: {type(error).__name__}: {error}"
        yield Finding(check.id, "unknown", "", what)
        return
    for one in said:
        yield Finding(check.id, one.status, one.subject, one.what, one.remedy)


def _lacks(check: Check, evidence: Evidence) -> Finding | None:
    """Why the evidence is not enough for this check."""
    for need in check.needs:
        if need == "policies" and not evidence.policies:
            return Finding(
                check.id, "unknown", "", "no policies to check against", "--policies PATH"
            )
        part = {"prometheus": evidence.prometheus, "kubernetes": evidence.cluster}.get(need)
        if isinstance(part, Unread):
            return Finding(check.id, "unknown", "", f"{need.capitalize()} not asked: {part.reason}")
        if need == "prometheus" and evidence.seen.readings.failed:
            return Finding(check.id, "unknown", "", "Prometheus gave no readings")
    return None
