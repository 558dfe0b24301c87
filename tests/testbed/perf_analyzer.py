"""Load from the real perf_analyzer, and what it counted."""

import csv
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.testbed.loopback import without_proxies
from tests.testbed.parts import PerfAnalyzerInstall


class PerfAnalyzerFailed(Exception):  # noqa: N818 - named for what happened
    pass


class LoadNotKept(PerfAnalyzerFailed):
    """The machine was too busy for the rate asked for.

    perf_analyzer then says so in a warning, exits with 0 and leaves its export empty.
    """


@dataclass(frozen=True)
class PerfRow:
    load: float
    """Concurrency or requests per second, as asked for."""
    throughput: float
    """With `request_count` it is too low: perf_analyzer rounds the run up to its 2 s poll."""
    p50_us: float
    p90_us: float
    p95_us: float
    p99_us: float
    server_queue_us: float
    columns: Mapping[str, float]


@dataclass(frozen=True)
class PerfResult:
    rows: tuple[PerfRow, ...]
    counted: int
    """Requests in `rows`. The server's counter rises by exactly this with `request_count`.

    With time windows it rises by more: windows that did not make it into a row, and up to one
    request per client that was under way when a window closed.
    """
    first_sent: float
    last_answered: float
    """Unix seconds, by the client's clock."""
    output: str


def run_perf_analyzer(
    install: PerfAnalyzerInstall,
    *,
    model: str,
    grpc: str | None = None,
    http: str | None = None,
    concurrency: int | None = None,
    request_rate: float | None = None,
    poisson: bool = False,
    request_count: int | None = None,
    window_s: float = 1.0,
    windows: int = 3,
    extra_args: Sequence[str] = (),
    timeout_s: float = 60.0,
) -> PerfResult:
    """One closed loop (`concurrency`) or open loop (`request_rate`) against one server.

    perf_analyzer gives up at the first request that fails, a refusal by a full queue included.
    """
    with TemporaryDirectory(prefix="testbed-perf-") as scratch:
        table, export = Path(scratch) / "rows.csv", Path(scratch) / "requests.json"
        argv = [
            str(install.binary),
            *("-m", model, "-f", str(table), "--verbose-csv"),
            *("--profile-export-file", str(export)),
            *_server(grpc, http),
            *_load(concurrency, request_rate, poisson=poisson),
            *_length(request_count, window_s, windows),
            *extra_args,
        ]
        output = _run(install, argv, timeout_s)
        if not (table.exists() and export.exists()):
            raise PerfAnalyzerFailed(f"perf_analyzer wrote no result:\n{output}")
        if export.stat().st_size == 0:
            raise LoadNotKept(f"perf_analyzer could not keep the load up:\n{output}")
        return _result(table.read_text(), export.read_text(), output)


def _server(grpc: str | None, http: str | None) -> list[str]:
    if (grpc is None) == (http is None):
        raise ValueError("name either grpc or http")
    if grpc is not None:
        return ["-i", "grpc", "-u", grpc]
    return ["-i", "http", "-u", str(http).removeprefix("http://")]


def _load(concurrency: int | None, request_rate: float | None, *, poisson: bool) -> list[str]:
    if (concurrency is None) == (request_rate is None):
        raise ValueError("name either concurrency or request_rate")
    if concurrency is not None:
        return ["--concurrency-range", str(concurrency)]
    distribution = "poisson" if poisson else "constant"
    return ["--request-rate-range", f"{request_rate}", "--request-distribution", distribution]


def _length(request_count: int | None, window_s: float, windows: int) -> list[str]:
    if request_count is not None:
        return ["--request-count", str(request_count)]
    return [
        *("-p", str(round(window_s * 1000))),
        *("-r", str(windows)),
        # Steadiness is not asked for: on a busy machine it ends the run with an error.
        *("-s", "999"),
    ]


def _run(install: PerfAnalyzerInstall, argv: Sequence[str], timeout_s: float) -> str:
    env = {**without_proxies(), "LD_LIBRARY_PATH": str(install.libraries)}
    try:
        done = subprocess.run(
            argv,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode(errors="replace")
        raise PerfAnalyzerFailed(f"not done after {timeout_s:g} s:\n{said}") from late
    output = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise PerfAnalyzerFailed(f"exit status {done.returncode}:\n{output}")
    return output


def _result(table: str, export: str, output: str) -> PerfResult:
    requests = [
        request
        for experiment in json.loads(export)["experiments"]
        for request in experiment["requests"]
    ]
    return PerfResult(
        rows=tuple(_row(line) for line in csv.DictReader(table.splitlines())),
        counted=len(requests),
        first_sent=min(request["timestamp"] for request in requests) / 1e9,
        last_answered=max(max(request["response_timestamps"]) for request in requests) / 1e9,
        output=output,
    )


def _row(line: Mapping[str, str]) -> PerfRow:
    columns = {name: float(value) for name, value in line.items() if name and value}
    return PerfRow(
        load=columns["Concurrency" if "Concurrency" in columns else "Request Rate"],
        throughput=columns["Inferences/Second"],
        p50_us=columns["p50 latency"],
        p90_us=columns["p90 latency"],
        p95_us=columns["p95 latency"],
        p99_us=columns["p99 latency"],
        server_queue_us=columns["Server Queue"],
        columns=columns,
    )
