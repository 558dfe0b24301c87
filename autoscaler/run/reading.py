"""Reading the world within a deadline; what breaks becomes a reason, never an exception."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from autoscaler.model import Metric, Missing, Observation, Policy
from autoscaler.run.faults import Fault, internal
from autoscaler.units import format_duration

if TYPE_CHECKING:
    from autoscaler.observe.cluster import Cluster, ClusterReading
    from autoscaler.observe.pools import PoolReader, PoolReadings
    from autoscaler.observe.port import Readings, Source

# A source that overruns its own deadline is cut off this much later.
GRACE = 0.5


def queries(policies: Sequence[Policy]) -> tuple[str, ...]:
    """The distinct PromQL of all `metric` objectives, in order."""
    return tuple(
        dict.fromkeys(
            objective.query
            for policy in policies
            for objective in policy.objectives
            if isinstance(objective, Metric)
        )
    )


async def read_source(
    source: Source, policies: Sequence[Policy], now: float, deadline: float
) -> tuple[Readings, list[Fault]]:
    """`deadline` is in seconds. Readings always come back; `failed` says why they are empty."""
    from autoscaler.observe.port import Readings

    try:
        async with asyncio.timeout(deadline + GRACE):
            readings = await source.read(queries(policies), now, deadline)
    except TimeoutError:
        failed = f"{source.name} did not answer within {format_duration(deadline)}"
    except Exception as error:  # noqa: BLE001 -- contained: a broken source must not stop the loop
        failed = internal("source", error).text
    else:
        faults = [
            Fault("source", problem, f"{source.name} #{number}")
            for number, problem in enumerate(readings.problems, start=1)
        ]
        if readings.failed is not None:
            faults.append(Fault("source", readings.failed, source.name))
        return readings, faults
    readings = Readings(
        at=now,
        windows=source.windows,
        source=source.name,
        pods={},
        metrics={},
        problems=(),
        failed=failed,
    )
    return readings, [Fault("source", failed, source.name)]


async def read_cluster(
    cluster: Cluster | None, policies: Sequence[Policy], now: float, deadline: float
) -> tuple[ClusterReading | None, list[Fault]]:
    """None without a cluster; with one, each target has a reading or the reason why not."""
    if cluster is None:
        return None, []
    from autoscaler.observe.cluster import ClusterReading

    targets = tuple(dict.fromkeys(policy.target for policy in policies))
    scaled = frozenset(policy.target for policy in policies if policy.mode == "scale")
    try:
        async with asyncio.timeout(deadline + GRACE):
            return await cluster.read(targets, now, deadline, scaled), []
    except TimeoutError:
        reason = f"Kubernetes did not answer within {format_duration(deadline)}"
    except Exception as error:  # noqa: BLE001 -- contained: a broken cluster must not stop the loop
        reason = internal("cluster", error).text
    missing = ClusterReading(targets={target: Missing(reason) for target in targets})
    return missing, [Fault("cluster", reason)]


async def read_pools(
    pools: PoolReader | None, policies: Sequence[Policy], now: float, deadline: float
) -> tuple[PoolReadings | None, list[Fault]]:
    """None without a reader; with one, each policy that names a pool has it, or why not."""
    if pools is None:
        return None, []
    from autoscaler.observe.pools import PoolReadings

    try:
        async with asyncio.timeout(deadline + GRACE):
            return await pools.read(policies, now, deadline), []
    except TimeoutError:
        reason = f"the node pools were not read within {format_duration(deadline)}"
    except Exception as error:  # noqa: BLE001 -- contained: a broken pool must not stop the loop
        reason = internal("cluster", error, "pools").text
    named = {policy.key: Missing(reason) for policy in policies if policy.nodes}
    return PoolReadings(pools=named, fallbacks=named), [Fault("cluster", reason, "pools")]


def join_all(
    policies: Sequence[Policy],
    readings: Readings,
    cluster: ClusterReading | None,
    now: float,
    pools: PoolReadings | None = None,
) -> tuple[Mapping[str, Observation], list[Fault]]:
    """An observation for every policy, of nothing where the join itself broke."""
    from autoscaler.observe.snapshot import join

    try:
        return join(policies, readings, cluster, now, pools), []
    except Exception as error:  # noqa: BLE001 -- contained: every policy holds
        fault = internal("source", error, "join")
        return {policy.key: _blind(policy, readings, now, fault) for policy in policies}, [fault]


def _blind(policy: Policy, readings: Readings, now: float, fault: Fault) -> Observation:
    return Observation(
        policy=policy.key,
        at=now,
        replicas=Missing(fault.text),
        windows=readings.windows,
        source=readings.source,
        notes=(fault.text,),
    )
