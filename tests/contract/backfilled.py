"""Pages of a fleet as a Prometheus would have stored them: OpenMetrics, backfilled."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.testbed.backfill import backfill
from tests.testbed.parts import PrometheusBinaries
from tests.testbed.prometheus_server import PrometheusServer

# metric, labels as text, value, Unix time
Sample = tuple[str, str, float, float]


def of_page(page: str, labels: str, at: float) -> Iterator[Sample]:
    """A page's samples with the labels that the scrape adds."""
    for line in page.splitlines():
        if line.startswith("#"):
            continue
        head, value = line.rsplit(" ", 1)
        metric, _, inner = head.partition("{")
        yield metric, ",".join(filter(None, (labels, inner.rstrip("}")))), float(value), at


@contextmanager
def prometheus_with(
    binaries: PrometheusBinaries, folder: Path, samples: Iterable[Sample]
) -> Iterator[PrometheusServer]:
    """A real Prometheus that holds these samples, and scrapes nothing."""
    families: dict[str, list[str]] = {}
    for metric, labels, value, at in sorted(samples, key=lambda sample: sample[3]):
        families.setdefault(metric, []).append(f"{metric}{{{labels}}} {value} {at:.3f}")
    lines = [line for metric, of in families.items() for line in (f"# TYPE {metric} unknown", *of)]
    recording = folder / "samples.om.gz"
    recording.write_bytes(gzip.compress("\n".join([*lines, "# EOF", ""]).encode()))
    backfill(binaries.promtool, recording, folder / "data")
    with PrometheusServer(binaries, storage=folder / "data") as server:
        yield server
