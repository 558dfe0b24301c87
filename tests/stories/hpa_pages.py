"""Tritons that are numbers on a page: what each pod tells is what the test says it tells."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.stories.hpa_world import HpaWorld
from tests.testbed.loopback import free_address

_PORT = 9100
_FAMILIES = {
    "nv_inference_request_success": "counter",
    "nv_inference_request_failure": "counter",
    "nv_inference_queue_duration_us": "counter",
    "nv_inference_pending_request_count": "gauge",
}


@dataclass(frozen=True)
class Load:
    """Of one model in one pod: requests/s, what each of them waited, and who waits now."""

    rate: float = 0.0
    queue_us: float = 0.0
    pending: float = 0.0


IDLE: Mapping[str, Load] = {"flowers": Load()}


class Pages(ThreadingHTTPServer):
    """One page for all pods of the namespace, and `fleet_load`, which a policy may ask for.

    `usual` (by model) holds for each pod, `special` (by pod, then model) for the pods in it,
    whether there are such pods or not. Without counters of its pods we lower nothing: what those
    who stay would carry is not known.
    """

    daemon_threads = True

    def __init__(
        self,
        world: HpaWorld,
        *,
        fleet_load: float = 0.0,
        pods: Callable[[], list[str]] | None = None,
    ) -> None:
        self.fleet_load = fleet_load
        self.usual = IDLE
        self.special: dict[str, Mapping[str, Load]] = {}
        self.nan_counters = False
        self._pods = pods or (lambda: [pod["metadata"]["name"] for pod in world.pods()])
        self._known: list[str] = []
        self._counted: dict[tuple[str, str], tuple[float, float]] = {}
        self._counted_at = time.monotonic()
        self._one_at_a_time = threading.Lock()
        super().__init__((free_address(_PORT), _PORT), _Page)

    @property
    def scrape_config(self) -> dict[str, Any]:
        target = f"{self.server_address[0]!s}:{_PORT}"
        return {
            "job_name": "pages",
            "honor_labels": True,
            "static_configs": [{"targets": [target]}],
        }

    def text(self) -> str:
        with self._one_at_a_time:
            rows = self._count()
        lines = ["# TYPE fleet_load gauge", f"fleet_load {self.fleet_load}"]
        for index, (family, kind) in enumerate(_FAMILIES.items()):
            lines.append(f"# TYPE {family} {kind}")
            lines += [f"{family}{labels} {values[index]}" for labels, values in rows]
        return "\n".join(lines) + "\n"

    def _count(self) -> list[tuple[str, tuple[float, ...]]]:
        """The labels of each series and its values, in the order of the families."""
        now = time.monotonic()
        passed, self._counted_at = now - self._counted_at, now
        rows: list[tuple[str, tuple[float, ...]]] = []
        for pod in dict.fromkeys([*self._names(), *self.special]):
            for model, load in self.special.get(pod, self.usual).items():
                done, waited = self._counted.get((pod, model), (0.0, 0.0))
                done += load.rate * passed
                waited += load.rate * load.queue_us * passed
                self._counted[pod, model] = done, waited
                labels = f'{{namespace="default",pod="{pod}",model="{model}",version="1"}}'
                counters = (float("nan"),) * 3 if self.nan_counters else (done, 0.0, waited)
                rows.append((labels, (*counters, load.pending)))
        return rows

    def _names(self) -> list[str]:
        """Those that there were, while the API server is away."""
        with suppress(OSError):
            self._known = self._pods()
        return self._known

    @contextmanager
    def serving(self) -> Iterator[Self]:
        with self:
            thread = threading.Thread(target=self.serve_forever, args=(0.1,))
            thread.start()
            try:
                yield self
            finally:
                self.shutdown()
                thread.join()


class _Page(BaseHTTPRequestHandler):
    server: Pages

    def do_GET(self) -> None:
        page = self.server.text().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name there
        pass
