"""The daemon put together in this process, in mode scale, on a real control plane."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from unittest.mock import patch

from autoscaler.model import Decision, Missing
from autoscaler.observe.port import PodReading, Readings
from autoscaler.run import app as composition
from autoscaler.run.app import App, Settings, assemble, load_policies
from autoscaler.run.daemon import elected
from autoscaler.run.loop import Tick
from autoscaler.run.writing import Place, WriteSettings
from tests.testbed.control_plane import ControlPlane
from tests.unit.decide.fleets import WINDOWS, model
from tests.unit.run.world import Log

UNKNOWN = Missing("not asked")
OURS = "triton-autoscaler"


def policy(namespace: str, *, name: str = "flower", kind: str = "Deployment") -> str:
    """100 requests/s a replica, and nothing that slows a decision down."""
    return f"""\
apiVersion: triton-autoscaler/v1alpha1
kind: ScalingPolicy
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  target: {{namespace: {namespace}, name: {name}, kind: {kind}}}
  mode: scale
  replicas: {{min: 1, max: 7}}
  sla: {{queueTime: 50ms}}
  capacity: {{requestsPerSecond: 100}}
  behavior:
    scaleUp: {{stabilizationWindow: 0s, policies: [{{type: Pods, value: 100, period: 15s}}]}}
    scaleDown: {{stabilizationWindow: 0s, policies: [{{type: Pods, value: 100, period: 15s}}]}}
  cooldown: {{scaleUp: 0s, scaleDown: 0s}}
"""


class SharedLoad:
    """`load` requests/s for each target, shared by the pods that are there."""

    def __init__(self, plane: ControlPlane, namespace: str, load: float) -> None:
        self.name = "shared"
        self.windows = WINDOWS
        self.load = load
        self._plane = plane
        self._namespace = namespace

    async def read(self, queries: Sequence[str], now: float, deadline: float) -> Readings:
        path = f"/api/v1/namespaces/{self._namespace}/pods"
        listed = (await asyncio.to_thread(self._plane.api.get, path))["items"]
        fleets: dict[str, list[str]] = {}
        for pod in listed:
            if "deletionTimestamp" not in pod["metadata"]:
                app = pod["metadata"]["labels"]["app"]
                fleets.setdefault(app, []).append(pod["metadata"]["name"])
        pods = {
            (self._namespace, name): PodReading(
                now, (model(now, self.load / len(names)),), UNKNOWN, UNKNOWN
            )
            for names in fleets.values()
            for name in names
        }
        return Readings(at=now, windows=self.windows, source=self.name, pods=pods, metrics={})

    async def close(self) -> None:
        pass


class Daemon:
    def __init__(self, source: SharedLoad, log: Log) -> None:
        self.source, self.log = source, log
        self.app: App
        self.ticks: list[Tick] = []

    def tell(self, tick: Tick, changed: list[Decision]) -> None:
        self.ticks.append(tick)

    async def until(self, check: Callable[[], object], what: str, within: float = 240.0) -> None:
        try:
            async with asyncio.timeout(within):
                while not await asyncio.to_thread(check):  # noqa: ASYNC110 -- any condition
                    await asyncio.sleep(0.1)
        except TimeoutError:
            last = self.ticks[-1] if self.ticks else None
            said = (last and [d.sentence for d in last.decisions], last and last.problems)
            raise AssertionError(f"waited in vain: {what}; {said}; {self.log.lines[-5:]}") from None


@asynccontextmanager
async def daemon(
    plane: ControlPlane,
    folder: Path,
    namespace: str,
    *policies: str,
    kubeconfig: Path | None = None,
    load: float = 50.0,
    own: str = OURS,
    elect: bool = True,
) -> AsyncIterator[Daemon]:
    """Ticks each half second until left. `own`: the namespace of its lease and its state."""
    (folder / "policies").mkdir(exist_ok=True)
    for number, text in enumerate(policies):
        (folder / "policies" / f"{number}.yaml").write_text(text)
    source = SharedLoad(plane, namespace, load)
    settings = Settings(
        policies=(folder / "policies",),
        prometheus="http://nobody",
        kubeconfig=kubeconfig or plane.kubeconfig,
        interval=0.5,
        budget=10.0,
        watches=True,
        writes=WriteSettings(
            dry_run=False,
            elect=elect,
            lease=Place(OURS, own),
            state=Place("triton-autoscaler-state", own),
            daemon=True,
        ),
    )
    log = Log()
    running = Daemon(source, log)
    found = load_policies(settings)
    with patch.object(composition, "_source", lambda _: source):
        running.app = app = await assemble(settings, found, log, log.warning, running.tell)
    try:
        async with elected(app.leadership):
            loop = asyncio.create_task(app.loop.run())
            try:
                yield running
            finally:
                loop.cancel()
                with suppress(asyncio.CancelledError):
                    await loop
    finally:
        await app.close()
