"""The parts of a simulation, from what was typed: policy, server, trace, world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from autoscaler.cli import RuntimeTrouble
from autoscaler.cli.options import complain
from autoscaler.model import Decision, Policy
from autoscaler.policy import load
from autoscaler.policy.profile import ProfileError, parse_profile
from autoscaler.sim import frontier
from autoscaler.sim.curve import ServerCurve, h200
from autoscaler.sim.fit import curve_of
from autoscaler.sim.result import Outcome
from autoscaler.sim.scaler import PolicyScaler, Steady, drive
from autoscaler.sim.scenario import NodePool, Scenario, StartTimes, scenario_for
from autoscaler.sim.trace import Trace, usual_swing
from autoscaler.sim.trace_csv import TraceError, read_trace
from autoscaler.sim.workloads import workload
from autoscaler.units import format_number

# A peak that needs this share of the policy's maximum leaves room to be right or wrong in.
PEAK = 0.75
STEPS = (5.0, 3.0, 2.0, 1.0)


@dataclass(frozen=True)
class Parts:
    policy: Policy
    scenario: Scenario
    trace: Trace
    seed: int
    worth: float  # requests/s that count as one replica's worth
    frontier: bool = False
    notes: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class Result:
    """`steady`: the most replicas that the policy had ready, all along."""

    outcome: Outcome
    steady: Outcome
    decisions: list[Decision]


def gather(given: dict[str, Any]) -> Parts:
    """Raises click.UsageError and RuntimeTrouble; diagnostics of policies end the command."""
    if given["trace"] is not None and given["workload"] is not None:
        raise click.UsageError("give one of --trace and --workload")
    policy = _policy(given["policies"], given["policy"], given["scrape_interval"])
    notes: list[str] = []
    server = _server(policy, given["profile"], notes)
    worth = policy.capacity.requests_per_second if policy.capacity else None
    worth = worth or server.brink
    scenario = _scenario(policy, server, given)
    trace = _trace(given)
    # Of the service as it was: --mean makes no more clients.
    scenario = replace(scenario, swing=usual_swing(trace.mean))
    trace = _sized(trace, given, policy, worth)
    _doubts(policy, trace, worth, notes)
    return Parts(policy, scenario, trace, given["seed"], worth, given["frontier"], tuple(notes))


def run(parts: Parts) -> Result:
    scaler = PolicyScaler(parts.policy, keep=True)
    outcome = drive(parts.scenario, parts.trace, scaler, parts.seed)
    peak = max(1, outcome.peak_replicas)
    alone = drive(parts.scenario, parts.trace, Steady(peak), parts.seed, replicas=peak)
    return Result(outcome, alone, scaler.decisions)


def run_frontier(parts: Parts, jobs: int, told: Callable[[int, int], None]) -> list[frontier.Point]:
    return frontier.sweep(parts.policy, parts.scenario, parts.trace, parts.seed, jobs, told)


def _policy(paths: Sequence[Path], name: str | None, scrape: float) -> Policy:
    found = load(list(paths), scrape_interval=scrape)
    if not found.ok:
        complain(found)
        click.get_current_context().exit(1)
    keys = [policy.key for policy in found.policies]
    if name is None and len(keys) == 1:
        return found.policies[0]
    for policy in found.policies:
        if name in (policy.key, policy.name):
            return policy
    where = ", ".join(str(path) for path in paths)
    if not keys:
        raise click.UsageError(f"no policy found in {where}: give -f FILE")
    listed = ", ".join(keys[:5]) + (" and more" if len(keys) > 5 else "")
    raise click.UsageError(f"which policy? Give --policy, one of {listed}")


def _server(policy: Policy, profile: Path | None, notes: list[str]) -> ServerCurve:
    """From the profile; else the recorded one, brought to the policy's capacity."""
    if policy.capacity is not None and policy.capacity.models:
        raise click.UsageError(
            f"{policy.key} has several models in a pod, and one model is simulated: give a policy "
            "with capacity.requestsPerSecond"
        )
    if profile is not None:
        return _of_profile(profile)
    server = h200()
    given = policy.capacity.requests_per_second if policy.capacity else None
    if given is None:
        notes.append(
            f"the policy gives no capacity: the simulated server is the recorded {server.name}, "
            f"{format_number(server.brink)} requests/s, and has to be learned"
        )
        return server
    notes.append(
        f"the simulated server has the times of a recorded {server.name}, and carries the "
        f"policy's {format_number(given)} requests/s; --profile makes one of your own sweep"
    )
    return server.scaled(given / server.brink, f"like {server.name}, {format_number(given)}/s")


def _of_profile(path: Path) -> ServerCurve:
    try:
        return curve_of(parse_profile(path.read_text(encoding="utf-8-sig")))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise RuntimeTrouble(f"{path} cannot be read: {why}") from error
    except ProfileError as error:
        where = path if error.line is None else f"{path}:{error.line}"
        raise RuntimeTrouble(f"{where} {error.reason}; {error.remedy}") from error


def _scenario(policy: Policy, server: ServerCurve, given: dict[str, Any]) -> Scenario:
    """A tenth of the cold start is the image's, the rest the model's; one second to schedule."""
    cold, scrape, tick = given["cold_start"], given["scrape_interval"], given["interval"]
    step = next((s for s in STEPS if _divides(s, scrape) and _divides(s, tick)), None)
    if step is None:
        raise click.UsageError(
            "--interval and --scrape-interval are whole seconds in a simulation, at least 1s"
        )
    schedule = min(1.0, 0.1 * cold)
    pull = 0.1 * (cold - schedule)
    starts = StartTimes(scheduling=schedule, pulling=pull, loading=cold - schedule - pull)
    scenario = scenario_for(policy, server, starts=starts, scrape=scrape, tick=tick, step=step)
    pool = scenario.pool
    if isinstance(pool, NodePool):
        scenario = replace(scenario, pool=replace(pool, booting=given["node_start"]))
    return scenario


def _divides(step: float, length: float) -> bool:
    return length >= step and abs(length / step - round(length / step)) < 1e-9


def _trace(given: dict[str, Any]) -> Trace:
    days = given["days"]
    if given["trace"] is None:
        return workload(given["workload"] or "bursty", given["seed"], days or 7.0)
    try:
        trace = read_trace(given["trace"])
    except TraceError as error:
        raise RuntimeTrouble(str(error)) from error
    return trace if days is None else trace.part(0, days * 86400)


def _sized(trace: Trace, given: dict[str, Any], policy: Policy, worth: float) -> Trace:
    """Brought to --mean; a built-in workload without it to what the policy's maximum carries."""
    mean = given["mean"]
    if mean is None and given["trace"] is None:
        mean = PEAK * policy.replicas.max * trace.mean / trace.peak
    return trace if mean is None else trace.scaled(mean, worth)


def _doubts(policy: Policy, trace: Trace, worth: float, notes: list[str]) -> None:
    """What makes the answer worth less than it looks."""
    queries = [o.id for o in policy.objectives if o.type == "metric"]
    if queries:
        notes.append(
            f"the queries of {', '.join(queries)} cannot be asked of a simulation, so that they "
            "hold, as an unanswered query does"
        )
    most = trace.peak / worth
    if most > policy.replicas.max:
        notes.append(
            f"the peak is {most:.1f} replicas' worth and the policy's maximum is "
            f"{policy.replicas.max}: what is above it is missed whatever is decided"
        )
    if trace.mean / worth < 0.05:
        notes.append(
            f"the load is {trace.mean / worth:.3f} replicas' worth on average: one replica idles; "
            "--mean 3 scales it up"
        )
