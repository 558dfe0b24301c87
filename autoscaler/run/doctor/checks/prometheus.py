"""Policies, and the Prometheus that they are decided from."""

from __future__ import annotations

import re
from collections.abc import Iterator

from autoscaler.model import Metric, Missing
from autoscaler.observe.windows import windows_for
from autoscaler.run.doctor.evidence import Evidence, Unread
from autoscaler.run.doctor.finding import Said, check, count
from autoscaler.units import format_duration

# Both ends are tested against: Debian 12's 2.42 and 3.x.
OLDEST = (2, 42)
# Above this the fast window no longer holds four scrapes (observe.windows).
SLOW_SCRAPE = 30.0
BY_INTERVAL = {"promql-window"}


@check("policies")
def policies(evidence: Evidence) -> Iterator[Said]:
    found = evidence.policy_set
    errors = [problem for problem in found.problems if problem.severity == "error"]
    for problem in errors:
        yield Said("fail", f"{problem.file}:{problem.line}", problem.message, problem.remedy)
    if not errors:
        read = len(evidence.policies)
        what = "1 policy" if read == 1 else f"{read} policies"
        yield Said("ok" if read else "warn", "", f"{what} read, hash {found.hash}")


@check("prometheus-reachable")
def reachable(evidence: Evidence) -> Iterator[Said]:
    seen = evidence.prometheus
    if isinstance(seen, Unread):
        yield Said("unknown", "", seen.reason, "--prometheus http://HOST:9090")
    elif seen.readings.failed:
        remedy = "try: curl -fsS '" + seen.url + "/api/v1/query?query=up'"
        yield Said("fail", seen.url, seen.readings.failed, remedy)
    else:
        pods = count(len(seen.readings.pods), "pod")
        yield Said("ok", seen.url, f"answers; Triton's series of {pods}")


@check("prometheus-version", "prometheus")
def version(evidence: Evidence) -> Iterator[Said]:
    seen = evidence.seen
    if isinstance(seen.version, Unread):
        what = f"does not tell its version ({seen.version.reason}): Thanos, Mimir and others do not"
        yield Said("unknown", seen.url, what)
        return
    number = re.match(r"(\d+)\.(\d+)", seen.version)
    if number is None:
        yield Said("unknown", seen.url, f"calls its version {seen.version!r}")
    elif (int(number[1]), int(number[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        what = f"is {seen.version}; nothing older than {oldest} is tested"
        yield Said("warn", seen.url, what, "upgrade it, or check the figures of `plan` by hand")
    else:
        yield Said("ok", seen.url, f"is {seen.version}")


@check("prometheus-answers", "prometheus")
def answers(evidence: Evidence) -> Iterator[Said]:
    readings = evidence.seen.readings
    for problem in readings.problems:
        yield Said("warn", "", problem)
    if not readings.problems:
        yield Said("ok", "", "every question was answered in full, clocks agree")


@check("scrape-interval", "prometheus")
def scrape_interval(evidence: Evidence) -> Iterator[Said]:
    interval = evidence.seen.scrape_interval
    if isinstance(interval, Missing):
        yield Said("unknown", "", interval.missing)
        return
    windows = windows_for(interval)
    what = (
        f"Triton is scraped every {format_duration(interval)}: raised by the last "
        f"{format_duration(windows.fast)}, lowered by {format_duration(windows.slow)}"
    )
    if interval > SLOW_SCRAPE:
        what += "; a burst is over before it is seen"
        yield Said("warn", "", what, "set `interval: 15s` (or 5s) in the PodMonitor's endpoint")
    else:
        yield Said("ok", "", what)


@check("policy-windows", "prometheus", "policies")
def policy_windows(evidence: Evidence) -> Iterator[Said]:
    """The policies' own PromQL against the interval that was measured, not the one assumed."""
    interval = evidence.seen.scrape_interval
    if isinstance(interval, Missing):
        yield Said("unknown", "", f"the scrape interval is not known: {interval.missing}")
        return
    found = [p for p in evidence.measured_set.problems if p.check in BY_INTERVAL]
    for problem in found:
        yield Said("fail", f"{problem.file}:{problem.line}", problem.message, problem.remedy)
    if not found:
        yield Said("ok", "", "every query's range holds two scrapes or more")


@check("policy-query", "prometheus", "policies")
def policy_query(evidence: Evidence) -> Iterator[Said]:
    metrics = evidence.seen.readings.metrics
    for policy in evidence.policies:
        for objective in policy.objectives:
            if not isinstance(objective, Metric):
                continue
            answer = metrics.get(objective.query, Missing("it was not asked"))
            if isinstance(answer, Missing):
                remedy = f"try it in Prometheus: {objective.query}"
                yield Said("fail", policy.key, f"{objective.id}: {answer.missing}", remedy)
            else:
                yield Said("ok", policy.key, f"{objective.id} reads {answer.value:g}")
