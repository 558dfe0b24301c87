"""What a scaler is told of a fluid world: as old and as averaged as a scrape source would say it.

Rates are growth between the first and the last scrape of a window over the time between them
(`observe.triton`); refusals at a full queue are in no counter; who was scraped once has no rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscaler.model import (
    Missing,
    ModelSignals,
    Node,
    Observation,
    Pod,
    Policy,
    Pool,
    Replicas,
    Sample,
    Signal,
)
from autoscaler.sim.server import power_draw
from autoscaler.sim.serving import Group, Reading

if TYPE_CHECKING:
    from autoscaler.sim.fluid import FluidWorld
    from autoscaler.sim.supply import SimPod

MODEL = "model"
YOUNG = Missing("younger than two scrapes: a rate needs two samples")
NOT_ASKED = Missing("a query cannot be asked of a simulation")
WATTS = 700.0  # the board's limit, of the recorded H200


def observe(world: FluidWorld, policy: Policy | None, now: float) -> Observation:
    told = {id(group): _signals(world, group) for group in world.groups}
    pods = tuple([_pod(pod, told) for pod in world.supply.pods])
    metrics: dict[str, Signal] = {}
    if policy is not None:
        metrics = {o.id: NOT_ASKED for o in policy.objectives if o.type == "metric"}
    return Observation(
        policy=policy.key if policy is not None else "",
        at=now,
        replicas=Replicas(world.desired, world.ready, source="simulation"),
        pods=pods,
        metrics=metrics,
        windows=world.windows,
        source="simulation",
        pool=_pool(world, now),
    )


Told = tuple[tuple[ModelSignals, ...], Signal, Signal]


def _signals(world: FluidWorld, group: Group) -> Told:
    """Of one server of the group: its model's signals, duty cycle and power."""
    readings = group.readings
    if not readings:
        return (), YOUNG, YOUNG
    last, windows = readings[-1], world.windows
    duty = Sample(last.duty_cycle, last.at, 1.0)
    power = Sample(power_draw(last.duty_cycle) / WATTS, last.at, 1.0)
    pending = Sample(last.pending, last.at)
    if len(readings) < 2:
        young = ModelSignals(
            MODEL,
            *(YOUNG,) * 7,
            pending=pending,
            pending_floor=pending,
            pending_peak=pending,
        )
        return (young,), duty, power
    fast = [r for r in readings if r.at >= last.at - windows.fast]
    if len(fast) < 2:
        fast = [readings[-2], last]
    slow = [r for r in readings if r.at >= last.at - windows.slow]
    at = last.at

    def rates(since: Reading) -> tuple[Sample, Sample, Sample]:
        span = at - since.at
        done = (last.success - since.success) / span
        grown = (last.pending - since.pending) / span
        waited = (last.queueing - since.queueing) / span
        return (
            Sample(max(0.0, done + grown), at, span),
            Sample(done, at, span),
            Sample(max(0.0, waited), at, span),
        )

    arrivals, completions, queueing = rates(fast[0])
    arrivals_slow, completions_slow, queueing_slow = rates(slow[0])
    signals = ModelSignals(
        MODEL,
        arrivals=arrivals,
        arrivals_slow=arrivals_slow,
        completions=completions,
        completions_slow=completions_slow,
        queueing=queueing,
        queueing_slow=queueing_slow,
        rejected=Sample(0.0, at, arrivals.window),
        pending=pending,
        pending_floor=Sample(min([r.pending for r in fast]), at, arrivals.window),
        pending_peak=Sample(max([r.pending for r in slow]), at, arrivals_slow.window),
    )
    return (signals,), duty, power


def _pod(pod: SimPod, told: dict[int, Told]) -> Pod:
    models: tuple[ModelSignals, ...] = ()
    duty: Signal = YOUNG
    power: Signal = YOUNG
    if pod.group is not None:
        models, duty, power = told[id(pod.group)]
    return Pod(
        name=pod.name,
        ready=pod.phase in ("ready", "dead"),  # nobody has noticed
        terminating=pod.phase == "draining",
        phase="Pending" if pod.started_at is None else "Running",
        created_at=pod.created_at,
        node=None if pod.scheduled_at is None else pod.node.name if pod.node else f"of {pod.name}",
        models=models,
        duty_cycle=duty,
        gpu_power=power,
        gpus=1,
        scheduled_at=pod.scheduled_at,
        started_at=pod.started_at,
        ready_at=pod.ready_at,
        waiting=_waiting(pod),
        leaving="its spot node is being taken away" if pod.node and pod.node.leaving else None,
    )


def _waiting(pod: SimPod) -> str | None:
    """In Kubernetes' words."""
    match pod.phase:
        case "scheduling":
            return "Unschedulable (no node with a free GPU)" if pod.homeless else None
        case "pulling":
            return "ContainerCreating (container triton)"
        case "loading":
            return "running, not Ready"
        case "backoff":
            return "CrashLoopBackOff (container triton)"
        case "ready" | "dead" | "draining":
            return None


def _pool(world: FluidWorld, now: float) -> Pool | None:
    pool, supply = world.scenario.pool, world.supply
    if pool is None:
        return None
    nodes = tuple(
        [
            Node(
                name=node.name,
                gpus=pool.gpus_per_node,
                leaving="its spot node is being taken away" if node.leaving else None,
                gpu_pods=sum(pod.node is node for pod in supply.pods),
            )
            for node in supply.nodes
            if node.up_at <= now
        ]
    )
    return Pool(size=supply.spare if pool.autoscaled else supply.size, nodes=nodes)
