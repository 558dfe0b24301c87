"""A Triton page on loopback, a policy for it, and the program as a process of its own."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

POLICY = """\
apiVersion: triton-autoscaler/v1alpha1
kind: ScalingPolicy
metadata: {name: flower}
spec:
  target: {namespace: default, name: flower}
  replicas: {min: 1, max: 7}
  sla: {queueTime: 50ms}
  capacity: {requestsPerSecond: 100}
"""
PAGE = """\
# TYPE nv_inference_request_success counter
nv_inference_request_success{model="m",version="1"} %(done)d
# TYPE nv_inference_queue_duration_us counter
nv_inference_queue_duration_us{model="m",version="1"} %(queue)d
# TYPE nv_inference_pending_request_count gauge
nv_inference_pending_request_count{model="m",version="1"} 3
"""


@dataclass
class Triton:
    """Serves `rate` requests/s, 8 ms of queue each; `gate` closed: its page does not answer."""

    rate: float = 300.0
    url: str = ""
    asked: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    started: float = field(default_factory=time.monotonic)

    @property
    def endpoint(self) -> str:
        return f"default/flower-0={self.url}"

    def page(self) -> bytes:
        done = int((time.monotonic() - self.started) * self.rate)
        return (PAGE % {"done": done, "queue": done * 8000}).encode()


@contextmanager
def triton() -> Iterator[Triton]:
    fleet = Triton()
    fleet.gate.set()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fleet.asked += 1
            fleet.gate.wait(30)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(fleet.page())

        def log_message(self, *_: Any) -> None:
            pass

    try:
        with serving(Handler) as url:
            fleet.url = f"{url}/metrics"
            yield fleet
    finally:
        fleet.gate.set()


@contextmanager
def api_server(answers: dict[str, object]) -> Iterator[str]:
    """JSON by path, 404 for the rest; gives its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path.partition("?")[0])
            self.send_response(404 if answer is None else 200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer or {"message": "not found"}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Handler) as url:
        yield url


@contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server in a thread of its own, on a free port of loopback; gives its URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Program:
    """`triton-autoscaler …` as a process; output goes to files, so that no pipe fills up."""

    def __init__(self, folder: Path, *args: object, **popen: Any) -> None:
        self.err = folder / "stderr"
        self.out = folder / "stdout"
        # PYTHONUNBUFFERED would hide a flush that is forgotten
        hidden = {"PROMETHEUS_URL", "PYTHONUNBUFFERED"}
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        with self.err.open("wb") as err, self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "autoscaler.cli", *map(str, args)],
                **{"stdout": out, "stderr": err, "env": environment, **popen},
            )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def said(self) -> str:
        return self.err.read_text()

    def until(self, true: Callable[[], object], within: float = 120.0) -> None:
        """Wait for something to become true; a failure shows what the program said."""
        ends = time.monotonic() + within
        while not true():
            assert time.monotonic() < ends, f"waited in vain; it said:\n{self.said()}"
            assert self.process.poll() is None or true(), f"it ended:\n{self.said()}"
            time.sleep(0.02)

    def stopped(self, signal: int, within: float = 60.0) -> int:
        self.process.send_signal(signal)
        return self.process.wait(within)


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
