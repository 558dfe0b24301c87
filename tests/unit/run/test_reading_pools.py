"""Node pools in the loop: what breaks there costs the pools and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from autoscaler.model import (
    Bounds,
    Demand,
    Missing,
    Nodes,
    Policy,
    Pool,
    ScaledPool,
    Sla,
    Target,
)
from autoscaler.observe.pools import PoolReadings
from autoscaler.run.reading import read_pools
from tests.unit.run.world import START

POOLED = Policy(
    "default",
    "flower",
    Target("default", "flower"),
    Bounds(1, 7),
    Sla(0.05),
    (Demand(),),
    nodes=Nodes(ScaledPool("karpenter.sh/v1", "NodePool", "gpu")),
)


class Pools:
    def __init__(self, does: Exception | float | PoolReadings) -> None:
        self.does = does

    async def read(self, policies: Sequence[Policy], now: float, deadline: float) -> PoolReadings:
        if isinstance(self.does, Exception):
            raise self.does
        if isinstance(self.does, float):
            await asyncio.sleep(self.does)
            return PoolReadings()
        return self.does


async def test_pools_come_through() -> None:
    readings = PoolReadings({POOLED.key: Pool(2)})
    assert await read_pools(Pools(readings), [POOLED], START, 1.0) == (readings, [])
    assert await read_pools(None, [POOLED], START, 1.0) == (None, [])


async def test_a_reader_that_breaks_is_a_fault_and_every_pool_missing() -> None:
    found, faults = await read_pools(Pools(KeyError("x")), [POOLED], START, 1.0)
    assert found is not None
    missing = found.pools[POOLED.key]
    assert isinstance(missing, Missing)
    assert "KeyError" in missing.missing
    assert [fault.cause for fault in faults] == ["cluster"]


async def test_a_reader_that_hangs_is_cut_off() -> None:
    found, faults = await read_pools(Pools(60.0), [POOLED], START, 0.01)
    assert found is not None
    assert found.pools[POOLED.key] == Missing("the node pools were not read within 10ms")
    assert len(faults) == 1
