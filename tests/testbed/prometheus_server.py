"""A real Prometheus on loopback, 3.x or 2.42."""

import json
import urllib.parse
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from tests.testbed.loopback import ask, free_address, without_proxies
from tests.testbed.parts import PrometheusBinaries
from tests.testbed.process import Process

_PORT = 9090
_START_LIMIT_S = 30.0


class PrometheusRefused(Exception):  # noqa: N818 - named for what happened
    pass


@dataclass(frozen=True)
class Sample:
    labels: Mapping[str, str]
    value: float
    at: float


class PrometheusServer:
    def __init__(
        self,
        binaries: PrometheusBinaries,
        *,
        storage: Path | None = None,
        scrape_configs: Sequence[Mapping[str, Any]] | None = None,
        scrape_interval: str = "1s",
        discovery_interval: str = "1s",
        extra_args: Sequence[str] = (),
    ) -> None:
        self._binaries = binaries
        self._storage = storage
        self._scrape_configs = list(scrape_configs or [])
        self._scrape_interval = scrape_interval
        self._discovery_interval = discovery_interval
        self._extra_args = tuple(extra_args)
        self._leaving = ExitStack()
        self.address = free_address(_PORT)
        self.url = f"http://{self.address}:{_PORT}"

    def __enter__(self) -> Self:
        with ExitStack() as entering:
            home = Path(entering.enter_context(TemporaryDirectory(prefix="testbed-prometheus-")))
            self._config = home / "prometheus.yml"
            self._write_config()
            self.process = self._new_process(home)
            self.start()
            entering.callback(self.stop)
            self._leaving = entering.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leaving.close()

    def start(self) -> None:
        self.process.start(deadline_s=_START_LIMIT_S)

    def stop(self) -> None:
        self.process.stop()

    def reload(self, scrape_configs: Sequence[Mapping[str, Any]] | None = None) -> None:
        if scrape_configs is not None:
            self._scrape_configs = list(scrape_configs)
        self._write_config()
        answer = ask(f"{self.url}/-/reload", data=b"", timeout_s=_START_LIMIT_S)
        if answer.status != 200:
            raise PrometheusRefused(answer.body.decode(errors="replace"))

    def query(self, expr: str, at: float | None = None) -> list[Sample]:
        """An instant query whose answer is a vector; `at` is Unix seconds."""
        form = {"query": expr} if at is None else {"query": expr, "time": repr(at)}
        answer = ask(f"{self.url}/api/v1/query", data=urllib.parse.urlencode(form).encode())
        body = json.loads(answer.body)
        if body["status"] != "success" or body["data"]["resultType"] != "vector":
            raise PrometheusRefused(f"{expr}: {answer.body.decode()[:500]}")
        return [
            Sample(row["metric"], float(row["value"][1]), float(row["value"][0]))
            for row in body["data"]["result"]
        ]

    def _write_config(self) -> None:
        config = {
            "global": {
                "scrape_interval": self._scrape_interval,
                # Prometheus refuses a timeout longer than the interval (its default is 10 s).
                "scrape_timeout": self._scrape_interval,
            },
            "scrape_configs": self._scrape_configs,
        }
        # JSON is YAML.
        self._config.write_text(json.dumps(config, indent=1))

    def _new_process(self, home: Path) -> Process:
        argv: list[str | Path] = [
            self._binaries.prometheus,
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self._storage or home / 'data'}",
            # Recordings are older than the default of 15 days and would be deleted at once.
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address={self.address}:{_PORT}",
            "--web.enable-lifecycle",
            # A hidden flag of both versions; at its default of 5 s every story would wait for it.
            f"--scrape.discovery-reload-interval={self._discovery_interval}",
            *self._extra_args,
        ]
        return Process(
            "Prometheus",
            argv,
            ready_url=f"{self.url}/-/ready",
            log=home / "prometheus.log",
            env=without_proxies(),
            cwd=home,
        )
