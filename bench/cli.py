"""What a person waits for: validate, --help, start to first decision; and what a daemon holds."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.figures import ROOT, figure, resident_mb, say, seconds_of
from tests.testbed.backfill import backfill
from tests.testbed.parts import ensure_prometheus
from tests.testbed.prometheus_server import PrometheusServer

CLI = [sys.executable, "-m", "autoscaler.cli"]
BEGAN = 1795248926  # of the load in the recording h200-bert-large-4gpu
RECORDING = ROOT / "tests/data/recordings/h200-bert-large-4gpu/scrapes.om.gz"
POLICY = ROOT / "tests/stories/policies/h200-bert-large.yaml"


def both(name: str, command: list[str], size: str, runs: int = 5) -> None:
    wall, cpu = seconds_of(command, runs)
    figure(f"{name}_wall", wall, "s", size)
    figure(f"{name}_cpu", cpu, "s", size)


def validate(folder: Path) -> None:
    examples = sorted((ROOT / "policies/examples").glob("*.yaml"))
    shutil.copytree(ROOT / "policies/examples/profiles", folder / "profiles")
    for number in range(500):
        example = examples[number % len(examples)].read_text()
        # A name and a target of its own for each: two policies on one target are an error.
        text = re.sub(r"(\bname: )([\w-]+)", rf"\g<1>\g<2>-{number}", example)
        (folder / f"policy-{number}.yaml").write_text(text)
    both("validate", [*CLI, "validate", str(folder)], "500 policies", runs=3)


def idle_memory(url: str) -> None:
    command = [*CLI, "run", "-f", str(POLICY), "--prometheus", url, "--no-kubernetes"]
    daemon = subprocess.Popen(
        [*command, "--listen", "none"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    try:
        time.sleep(22)
        figure("daemon_resident_idle", resident_mb(daemon.pid), "MiB", "1 policy, after 4 ticks")
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(10)


def main() -> None:
    say("cli: whole processes, median of several runs")
    both("help", [*CLI, "--help"], "1 process")
    with tempfile.TemporaryDirectory() as scratch:
        validate(Path(scratch))
    binaries = ensure_prometheus()
    with tempfile.TemporaryDirectory() as scratch:
        storage = Path(scratch)
        backfill(binaries.promtool, RECORDING, storage)
        with PrometheusServer(binaries, storage=storage) as server:
            at = str(BEGAN + 200)
            once = [*CLI, "run", "-f", str(POLICY), "--prometheus", server.url, "--no-kubernetes"]
            once += ["--from", at, "--to", at, "-o", "json"]
            both("start_to_first_decision", once, "1 policy, 4 pods, real Prometheus")
            idle_memory(server.url)


if __name__ == "__main__":
    main()
