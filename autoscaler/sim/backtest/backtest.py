"""A backtest from end to end: pull, replay, model, compare."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from autoscaler.model import Capacity, Policy
from autoscaler.sim.backtest import curve, error, gather, modelled, recorded
from autoscaler.sim.backtest.findings import Finding
from autoscaler.sim.backtest.flows import Flows
from autoscaler.sim.backtest.gather import Pulled, Request, Telling, Watch
from autoscaler.sim.backtest.history import History
from autoscaler.sim.backtest.measure import Measured, measure, rows_are_minutes, weights
from autoscaler.sim.backtest.modelled import Job, Modelled
from autoscaler.sim.backtest.replay import Said, replay
from autoscaler.sim.backtest.result import Answer, Backtest, Figures
from autoscaler.sim.curve import ServerCurve, h200
from autoscaler.sim.plot import Points
from autoscaler.sim.scenario import Scenario, StartTimes, scenario_for
from autoscaler.sim.trace import Trace
from autoscaler.units import format_duration

# So many ticks of one policy take about half a second: less is not worth a process.
WORTH_A_PROCESS = 4000
USUAL_START = StartTimes()


def backtest(request: Request, telling: Telling | None = None) -> Backtest:
    """Raises BacktestError, in words; what was pulled until then is kept on disk."""
    telling = telling or Telling()
    watch = Watch()
    pulled = gather.pulled_history(request, telling, watch)
    telling.say(gather.words(pulled, watch))
    names = " and ".join(policy.name for policy in request.policies)
    telling.say(f"Replaying {names} over {len(pulled.history.steps()):,} scrapes.")
    return judge(request, pulled, watch)


def judge(request: Request, pulled: Pulled, watch: Watch) -> Backtest:
    history = pulled.history
    every = 1 if request.tick is None else max(1, round(request.tick / history.step))
    measured = measure(history, request.policies[0], request.server, pulled.findings)
    pulled.findings.extend(_promises(request.policies))
    watch.lap("fit")
    jobs = _jobs(request, history, measured, every)
    said: list[Said] = []
    with _each(jobs, len(history.steps(every))) as running:
        said += [replay(history, policy, every) for policy in request.policies]
        watch.lap("said")
        runs = [future.result() for future in running]
    watch.lap("modelled")
    return _result(request, pulled, measured, every, said, runs, watch)


def _jobs(request: Request, history: History, measured: Measured, every: int) -> list[Job]:
    """One for each policy, then what ran, by each server."""
    trace = Trace(float(history.start), float(history.step), tuple(measured.flows.load))
    starts_at = _start_times(request, history)
    sizes = measured.ran.serving[: len(measured.flows)]
    found = []
    for policy in request.policies:
        scenario = _scenario(policy, measured.server, history, every, starts_at)
        asked = _as_modelled(policy, history)
        found.append(Job(policy.name, scenario, trace, measured.ran.size[0], asked))
    for server in measured.servers:
        plain = _scenario(request.policies[0], server, history, every, starts_at)
        as_run = modelled.scenario_as_run(plain, max(sizes) + 1)
        found.append(Job("what ran", as_run, trace, sizes[0], sizes=sizes))
    return found


def _as_modelled(policy: Policy, history: History) -> Policy:
    """The model's pods hold one model, in whose requests all load is counted."""
    if policy.capacity is None or policy.capacity.requests_per_second is not None:
        return policy
    words = f"{policy.capacity.source}, of the models as they were asked for"
    _, each = weights(history, policy)
    return replace(policy, capacity=Capacity(words, requests_per_second=each))


def _promises(policies: Sequence[Policy]) -> Iterator[Finding]:
    """Two figures of missed minutes are no comparison where the promises differ."""
    told = {policy.name: scenario_for(policy, h200()).patience for policy in policies}
    if len(set(told.values())) > 1:
        each = ", ".join(f"{name} {format_duration(wait)}" for name, wait in told.items())
        first = policies[0].name
        reason = f"they allow different times in the queue ({each})"
        yield Finding("the policies", reason, f"each is judged by its own, what ran by {first}'s")


def _start_times(request: Request, history: History) -> StartTimes:
    total = request.cold_start or history.cold_start
    if total is None:
        return USUAL_START
    scale = total / USUAL_START.total
    return StartTimes(
        scheduling=USUAL_START.scheduling * scale,
        pulling=USUAL_START.pulling * scale,
        loading=USUAL_START.loading * scale,
    )


def _scenario(
    policy: Policy, server: ServerCurve, history: History, every: int, starts_at: StartTimes
) -> Scenario:
    """Nodes are in the cold start: a pool of its own would count them twice."""
    return scenario_for(
        policy,
        server,
        starts=starts_at,
        pool=None,
        scrape=float(history.step),
        tick=float(every * history.step),
        step=modelled.world_step(history.step),
        resolution=60.0 if rows_are_minutes(history) else float(history.step),
    )


@contextmanager
def _each(jobs: Sequence[Job], ticks: int) -> Iterator[list[Future[Modelled]]]:
    """The jobs under way in other processes where there is more than a little to do.

    This one goes on meanwhile: a core is left to it.
    """
    cores = os.cpu_count() or 1
    if ticks < WORTH_A_PROCESS or cores < 2:
        futures: list[Future[Modelled]] = []
        for job in jobs:  # one after the other, and before what is said
            future: Future[Modelled] = Future()
            future.set_result(modelled.run(job))
            futures.append(future)
        yield futures
        return
    context = multiprocessing.get_context("spawn")  # threads of the pull may be alive: no fork
    count = min(len(jobs), cores - 1)
    with ProcessPoolExecutor(count, mp_context=context, initializer=_deaf) as pool:
        yield [pool.submit(modelled.run, job) for job in jobs]


def _deaf() -> None:
    """Ctrl-C is the parent's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


# --- the answer ------------------------------------------------------------------------------


def _result(
    request: Request,
    pulled: Pulled,
    measured: Measured,
    every: int,
    said: Sequence[Said],
    runs: Sequence[Modelled],
    watch: Watch,
) -> Backtest:
    history, policy, ran = pulled.history, request.policies[0], measured.ran
    scenario = _scenario(policy, measured.server, history, every, USUAL_START)
    patience, rows = scenario.patience, scenario.resolution
    late = curve.late_by_wait(measured.server, patience)
    figures, missed = recorded.figures(history, measured.flows, ran, policy, patience, late)
    as_run = runs[len(request.policies) :]
    waits = error.recorded_waits(measured.flows, rows)
    model_waits = error.joined([error.modelled_waits(one) for one in as_run])
    by_model = _missed_across(as_run, ran.known)
    answers = [
        _answer(one, heard, run, ran.known, measured.seen)
        for one, heard, run in zip(request.policies, said, runs, strict=False)
    ]
    modelled_figures, _ = _figures(policy, as_run[-1], ran.known)
    starts_at = _start_times(request, history)
    watch.lap("told")
    return Backtest(
        target=policy.target,
        start=history.start,
        end=history.end,
        step=history.step,
        tick=every * history.step,
        prometheus=request.access.url,
        queries=pulled.queries,
        cached=pulled.cached,
        bytes=pulled.bytes,
        server=measured.server.name,
        capacity=measured.capacity,
        cold_start=starts_at.total,
        patience=patience,
        currency=next((p.cost.currency for p in request.policies if p.cost), "USD"),
        ran=figures,
        ran_modelled=replace(modelled_figures, missed=len(by_model)),
        error=error.error(waits, model_waits, rows, (missed, by_model), across=len(as_run) > 1),
        answers=answers,
        findings=pulled.findings,
        missed=missed,
        unsure=recorded.unsure(measured.flows, ran, measured.capacity),
        load=_load(measured.flows, rows),
        replicas=_sizes(history, ran.size),
        queue_time=waits,
        queue_time_modelled=model_waits,
        seconds=watch.seconds,
    )


def _missed_across(as_run: Sequence[Modelled], known: Sequence[bool]) -> list[int]:
    """Minutes missed by what ran, by the model: each half by the server fitted to the other."""
    each = [modelled.count(one.history, known)[1] for one in as_run]
    if len(each) == 1:
        return each[0]
    middle = len(known) // 2
    return [m for m in each[0] if m < middle] + [m for m in each[1] if m >= middle]


def _answer(
    policy: Policy, said: Said, run: Modelled, known: Sequence[bool], seen: float
) -> Answer:
    figures, missed = _figures(policy, run, known)
    history = run.history
    return Answer(
        policy=policy,
        said=said,
        figures=figures,
        changes=run.changes,
        replicas=[(history.at(row), history.wanted[row]) for row in range(len(history))],
        queue_time=error.modelled_waits(run),
        missed=missed,
        beyond=modelled.beyond(history, seen),
    )


def _figures(policy: Policy, run: Modelled, known: Sequence[bool]) -> tuple[Figures, list[int]]:
    minutes, missed = modelled.count(run.history, known)
    wanted = run.history.wanted
    found = Figures(
        gpu_hours=run.gpu_hours,
        cost=run.gpu_hours * policy.cost.gpu_hour if policy.cost else None,
        minutes=minutes,
        missed=len(missed),
        certain=None,
        ups=run.ups,
        downs=run.downs,
        mean_replicas=sum(wanted) / max(1, len(wanted)),
        most_replicas=int(max(wanted, default=0)),
        queue_time=run.queue_time,
        requests=run.requests,
    )
    return found, missed


def _load(flows: Flows, seconds: float) -> Points:
    each = max(1, round(seconds / flows.bin))
    return [
        (
            float(flows.start + first * flows.bin),
            sum(flows.arrived[first : first + each]) / (each * flows.bin),
        )
        for first in range(0, len(flows), each)
    ]


def _sizes(history: History, size: Sequence[int]) -> Points:
    return [(float(at), float(n)) for at, n in zip(history.steps(), size, strict=True)]
