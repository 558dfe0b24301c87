"""Two daemons as processes of their own on one API server: a leader and its standby."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.contract.writing import deployment, path_of, size
from tests.testbed.control_plane import ControlPlane
from tests.unit.cli.fleet import Program, Triton, get, triton

POLICY = """\
apiVersion: triton-autoscaler/v1alpha1
kind: ScalingPolicy
metadata: {{name: flower, namespace: {namespace}}}
spec:
  target: {{namespace: {namespace}, name: flower, kind: StatefulSet}}
  mode: scale
  replicas: {{min: 1, max: 7}}
  sla: {{queueTime: 50ms}}
  capacity: {{requestsPerSecond: 100}}
  cooldown: {{scaleUp: 10m, scaleDown: 10m}}
"""
MOST = 7


class Daemon:
    def __init__(self, name: str, folder: Path, *given: object) -> None:
        folder.mkdir(exist_ok=True)
        self.name = name
        self.program = Program(folder, *given)
        self._port: int | None = None

    @property
    def bound_by(self) -> str:
        """The stage that had the last word in its newest decision."""
        page = self.page("/v1/decisions")
        return str(json.loads(page)["decisions"][0]["binding"]) if page else ""

    @property
    def ticks(self) -> int:
        return int((self.page("/livez") or "0").split()[0])

    @property
    def leads(self) -> bool:
        return "\ntriton_autoscaler_leader 1.0\n" in self.page("/metrics")

    def page(self, path: str) -> str:
        """Empty where it does not answer (yet)."""
        if self._port is None:
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", self.program.said())
            self._port = int(found[1]) if found else None
        try:
            return get(self._port, path)[1] if self._port else ""
        except OSError:
            return ""


class Pair:
    """Entered when one of them leads, the other one stands by, and the leader has scaled once.

    A StatefulSet, whose pods' names are known beforehand. Each pod has 300 requests/s of which it
    carries 100: one replica becomes four, and those would become seven but for the cooldown.
    """

    wanted = 4

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path) -> None:
        self.plane, self.namespace, self.folder = plane, namespace, folder
        self._leaving = ExitStack()
        self._started = 0
        self.daemons: list[Daemon] = []

    def __enter__(self) -> Self:
        with ExitStack() as entering:
            self.fleet: Triton = entering.enter_context(triton())
            self.policies = self.folder / "flower.yaml"
            self.policies.write_text(POLICY.format(namespace=self.namespace))
            self.plane.apply(deployment(self.namespace, 1, kind="StatefulSet"))
            entering.callback(self._end)
            self.start()
            self.until(lambda: self.daemons[0].leads, "the first leads")
            self.start()
            self.until(lambda: self.stands_by(self.daemons[1]), "the second stands by")
            self.until(lambda: self.replicas() == self.wanted, "the leader scales")
            self._leaving = entering.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.close()

    def _end(self) -> None:
        for daemon in self.daemons:
            daemon.program.__exit__()

    def start(self) -> Daemon:
        self._started += 1
        name = f"daemon-{self._started}"
        pods = [f"{self.namespace}/flower-{number}={self.fleet.url}" for number in range(MOST)]
        daemon = Daemon(
            name,
            self.folder / name,
            *("run", "-f", self.policies, "--kubeconfig", self.plane.kubeconfig),
            *(word for pod in pods for word in ("--scrape", pod)),
            *("--interval", "1s"),
            *("--leader-elect", "--lease", f"{self.namespace}/autoscaler"),
            *("--state", f"configmap:{self.namespace}/autoscaler-state"),
            *("--listen", "127.0.0.1:0", "--log-format", "json"),
        )
        self.daemons.append(daemon)
        return daemon

    @property
    def leader(self) -> Daemon:
        (leader,) = [daemon for daemon in self.daemons if daemon.leads]
        return leader

    @property
    def standby(self) -> Daemon:
        (standby,) = [daemon for daemon in self.daemons if not daemon.leads]
        return standby

    @staticmethod
    def stands_by(daemon: Daemon) -> bool:
        return "stands by" in daemon.page("/")

    def leads_on(self, daemon: Daemon) -> None:
        """It decides with what the leader before has written."""
        ticks = daemon.ticks
        self.until(lambda: daemon.ticks > ticks + 3, "three ticks as the leader")
        assert daemon.bound_by == "cooldown"
        assert self.replicas() == self.wanted

    def replicas(self) -> int:
        return size(self.plane, path_of(self.namespace, "statefulsets"))

    def until(self, check: Callable[[], object], what: str, within: float = 240.0) -> float:
        """Seconds until `check` is true."""
        began = time.monotonic()
        while not check():
            said = {daemon.name: daemon.program.said()[-2000:] for daemon in self.daemons}
            assert time.monotonic() - began < within, f"{what}: {json.dumps(said, indent=1)}"
            time.sleep(0.02)
        return time.monotonic() - began


def failover(pair: Pair, number: signal.Signals = signal.SIGKILL) -> float:
    """Seconds from the signal to the leader until the standby may write."""
    standby, leader = pair.standby, pair.leader
    leader.program.process.send_signal(number)
    took = pair.until(lambda: standby.leads, "the standby leads")
    leader.program.process.wait(30)
    pair.daemons.remove(leader)
    return took
