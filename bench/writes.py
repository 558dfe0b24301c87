"""From the decision to the write, and what the daemon asks of the API server in an hour.

The first on the real control plane, with everything that lies between: the state saved in its
ConfigMap, the lease renewed, the look right before the write. The second against a server that
counts, over two minutes of 1,000 policies and 10,000 pods; an hour is extrapolated from them.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from autoscaler.model import Action, Decision
from autoscaler.observe.port import PodReading, Readings
from autoscaler.run import app as composition
from autoscaler.run.app import App, Settings, assemble, load_policies
from autoscaler.run.daemon import elected
from autoscaler.run.loop import Tick
from autoscaler.run.writing import Place, WriteSettings
from bench.figures import figure, say
from bench.writes_api import pod_names, serve, targets
from tests.contract.scaling_daemon import UNKNOWN, daemon, policy
from tests.contract.writing import deployment, path_of, size
from tests.testbed import parts
from tests.testbed.control_plane import ControlPlane, eventually
from tests.testbed.kwok import Kwok
from tests.unit.decide.fleets import WINDOWS, model
from tests.unit.run.world import Log

STEPS = 40
POLICIES, NAMESPACES = 1000, (50, 1)
MEASURED = 60.0
# Busy: each minute one policy in twenty changes its size, so each of them three times an hour.
BUSY = POLICIES // 20


# --- from the decision to the write --------------------------------------------------------------


async def decision_to_write(plane: ControlPlane, folder: Path) -> None:
    path, times = path_of("default"), []
    async with daemon(plane, folder, "default", policy("default"), own="default") as running:
        await running.until(lambda: running.ticks and running.ticks[-1].led, "it leads")
        executor, decided = running.app.executor, []
        write = executor.execute

        async def timed(action: Action) -> None:
            await write(action)
            times.append(time.time() - decided[-1])

        def tell(tick: Tick, changed: list[Decision]) -> None:
            running.ticks.append(tick)

        executor.execute = timed  # type: ignore[method-assign]
        decide = running.app.loop._decide

        def noted(observations: Any) -> Any:
            found = decide(observations)
            decided.append(time.time())
            return found

        running.app.loop._decide = noted  # type: ignore[method-assign]
        for step in range(STEPS):
            running.source.load, wanted = ((220.0, 3), (40.0, 1))[step % 2]
            await running.until(lambda wanted=wanted: size(plane, path) == wanted, "a step")
            await asyncio.to_thread(settle, plane, wanted)
    size_of = f"1 policy, real API server, {len(times)} writes"
    figure("decision_to_write_median", statistics.median(times), "s", size_of)
    figure(
        "decision_to_write_p99",
        statistics.quantiles(times, n=100, method="inclusive")[98],
        "s",
        size_of,
    )
    figure("decision_to_write_longest", max(times), "s", size_of)


def settle(plane: ControlPlane, count: int) -> None:
    def ready() -> bool:
        status = plane.api.get(path_of("default")).get("status", {})
        return bool(status.get("readyReplicas", 0) == status.get("replicas", 0) == count)

    eventually(ready, f"{count} Ready pods", within_s=60.0)


def on_the_real_thing() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        ControlPlane(parts.ensure_control_plane()) as plane,
        Kwok(parts.ensure_kwok(), plane) as kwok,
    ):
        kwok.add_gpu_nodes(1)
        plane.apply(deployment("default", 1))
        settle(plane, 1)
        asyncio.run(decision_to_write(plane, Path(folder)))


# --- requests an hour ----------------------------------------------------------------------------


class Fleet:
    """75 requests/s a pod, of 80; a target in `hot` has enough more for one replica more."""

    def __init__(self, namespaces: int) -> None:
        self.name, self.windows = "memory", WINDOWS
        self.hot: set[str] = set()
        self.pods = {
            (namespace, name): target
            for namespace, target in targets(POLICIES, namespaces)
            for name in pod_names(target)
        }

    async def read(self, queries: Sequence[str], now: float, deadline: float) -> Readings:
        rates = {False: (model(now, 75.0),), True: (model(now, 86.0),)}
        pods = {
            key: PodReading(now, rates[target in self.hot], UNKNOWN, UNKNOWN)
            for key, target in self.pods.items()
        }
        return Readings(at=now, windows=self.windows, source=self.name, pods=pods, metrics={})

    async def close(self) -> None:
        pass


@asynccontextmanager
async def fleet_daemon(folder: Path, url: str, namespaces: int) -> AsyncIterator[tuple[App, Fleet]]:
    documents = [
        policy(namespace, name=name).replace("max: 7", "max: 20")
        for namespace, name in targets(POLICIES, namespaces)
    ]
    (folder / "policies.yaml").write_text("---\n".join(documents))
    (folder / "kubeconfig").write_text(kubeconfig(url))
    source = Fleet(namespaces)
    lease = Place("triton-autoscaler", "triton-autoscaler")
    settings = Settings(
        policies=(folder / "policies.yaml",),
        prometheus="http://nobody",
        kubeconfig=folder / "kubeconfig",
        watches=True,
        writes=WriteSettings(dry_run=False, elect=True, lease=lease, daemon=True),
    )
    log = Log()
    with patch.object(composition, "_source", lambda _: source):
        found = load_policies(settings)
        app = await assemble(settings, found, log, log.warning, lambda *_: None)
    try:
        async with elected(app.leadership):
            loop = asyncio.create_task(app.loop.run())
            try:
                yield app, source
            finally:
                loop.cancel()
                await asyncio.wait({loop})
    finally:
        await app.close()


def kubeconfig(url: str) -> str:
    user = {"name": "u", "user": {}}
    cluster = {"name": "c", "cluster": {"server": url}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    known = {"clusters": [cluster], "contexts": [context], "users": [user]}
    return json.dumps({**known, "current-context": "c"})


async def counted(folder: Path, url: str, namespaces: int) -> None:
    async with fleet_daemon(folder, url, namespaces) as (app, source):
        while app.board.ticks < 6 or not app.leadership.leading:  # noqa: ASYNC110
            await asyncio.sleep(0.5)
        await counts(url)
        await asyncio.sleep(MEASURED)
        where = f"{POLICIES} policies, {POLICIES * 10} pods, {namespaces} namespaces"
        report("idle", await counts(url), where)
        heating = asyncio.create_task(heat(source))
        await asyncio.sleep(MEASURED)
        report("busy", await counts(url), f"{where}, {BUSY} changes a minute")
        heating.cancel()


async def heat(source: Fleet) -> None:
    for number in range(BUSY):
        source.hot.add(f"t-{number * (POLICIES // BUSY)}")
        await asyncio.sleep(MEASURED / BUSY)


async def counts(url: str) -> dict[str, int]:
    def ask() -> dict[str, int]:
        with urllib.request.urlopen(f"{url}/counts", timeout=30) as answer:
            found: dict[str, int] = json.loads(answer.read())
        return found

    return await asyncio.to_thread(ask)


def report(state: str, found: dict[str, int], where: str) -> None:
    hourly = {kind: round(count * 3600 / MEASURED) for kind, count in sorted(found.items())}
    extrapolated = f"{where}; {MEASURED:g} s, extrapolated"
    figure(f"api_requests_{state}", sum(hourly.values()), "requests/h", extrapolated, by=hourly)


def against_a_counter(namespaces: int) -> None:
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    server = context.Process(target=serve, args=(POLICIES, namespaces, theirs), daemon=True)
    server.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(counted(Path(folder), ours.recv(), namespaces))
    finally:
        server.terminate()
        server.join()


def main() -> None:
    say("writes: decision to write on the real control plane; requests an hour against a counter")
    on_the_real_thing()
    for namespaces in NAMESPACES:
        against_a_counter(namespaces)


if __name__ == "__main__":
    main()
