"""Asking Prometheus: many instant queries at once, none of them longer than the deadline."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import tenacity
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

from autoscaler.model import Missing
from autoscaler.observe.answer import Answer, QueryError, describe, receive
from autoscaler.observe.wire import Wire
from autoscaler.units import format_duration

# Prometheus runs 20 queries at once for everybody; a dozen of ours go out in two rounds.
WORKERS = 6
CONNECT_TIMEOUT = 2.0

# What is to become of an answer's body: called in the worker, so that it can be let go at once.
Reduce = Callable[[bytes], Any]


@dataclass(frozen=True)
class Access:
    """How to reach and convince a Prometheus. The token file is read anew on every tick."""

    url: str
    token_file: Path | None = None
    user: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    verify: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)  # X-Scope-OrgID and the like

    def authorization(self) -> dict[str, str]:
        """All headers to send. Raises OSError with the file's name."""
        headers = {"User-Agent": "triton-autoscaler"} | dict(self.headers)
        if self.token_file is not None:
            headers["Authorization"] = f"Bearer {self.token_file.read_text().strip()}"
        elif self.user is not None:
            password = self.password_file.read_text().strip() if self.password_file else ""
            pair = base64.b64encode(f"{self.user}:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        return headers


class QueryApi:
    """PrometheusConnect in worker threads, a session for each, under one deadline.

    Answers are parsed one after the other, whatever the number of threads: the interpreter
    would do no more at once, and 10,000 pods are 16 MB of rows a query.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._url = access.url.rstrip("/")
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="prometheus")
        self._own = threading.local()
        self._lines: list[_Line] = []
        self._parsing = threading.Lock()

    async def ask(
        self, asks: Mapping[str, tuple[str, Reduce]], at: float | None, deadline: float
    ) -> dict[str, Any]:
        """name → (PromQL, reduce) becomes name → what reduce returned, or Missing.

        `at` is the instant to ask for (None: now), `deadline` seconds for all of them together.
        """
        try:
            headers = self._access.authorization()
        except (OSError, UnicodeDecodeError) as error:
            why = Missing(f"cannot read the credentials for Prometheus: {error}")
            return dict.fromkeys(asks, why)
        due = time.monotonic() + deadline
        loop = asyncio.get_running_loop()
        futures = {
            loop.run_in_executor(self._pool, self._ask, query, reduce, at, headers, due): name
            for name, (query, reduce) in asks.items()
        }
        done, late = set[asyncio.Future[Any]](), set(futures)
        try:
            done, late = await asyncio.wait(futures, timeout=deadline)
        finally:  # out of time, or cancelled: no thread must go on reading
            if late:
                self._give_up(late)
        # Rounded: 1.99 s are left of the 2 s that the caller gave.
        out_of_time = Missing(f"no answer within {format_duration(round(deadline, 1))}")
        answers = {futures[future]: future.result() for future in done}
        return {name: answers.get(name, out_of_time) for name in asks}

    async def close(self) -> None:
        for line in tuple(self._lines):
            line.wire.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _give_up(self, late: set[asyncio.Future[Any]]) -> None:
        for future in late:
            future.cancel()
        for line in tuple(self._lines):
            if line.busy:
                line.wire.cut()

    # --- in a worker thread ------------------------------------------------------------------

    def _ask(
        self, query: str, reduce: Reduce, at: float | None, headers: dict[str, str], due: float
    ) -> Any:
        """What `reduce` makes of the answer, or Missing. One more try inside the deadline."""
        line = self._line()
        line.connect.headers = headers
        tries = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(2),
            wait=tenacity.wait_fixed(0.1),
            retry=tenacity.retry_if_exception(lambda error: getattr(error, "passing", False)),
            reraise=True,
        )
        try:
            return tries(line.ask, query, reduce, at, due)
        except QueryError as error:
            return Missing(str(error))

    def _line(self) -> _Line:
        line: _Line | None = getattr(self._own, "line", None)
        if line is None:
            verify: bool | str = str(self._access.ca_file or "") or self._access.verify
            line = self._own.line = _Line(self._url, verify, self._parsing)
            self._lines.append(line)
        return line


class _Line:
    """One thread's client, and the query it has under way."""

    def __init__(self, url: str, verify: bool | str, parsing: threading.Lock) -> None:
        self.wire = Wire(verify)
        # A no-op `auth`: without one, requests would let ~/.netrc replace the bearer token.
        self.connect = PrometheusConnect(url, session=self.wire.session, auth=lambda sent: sent)
        self.wire.watch(url)
        self.wire.session.hooks["response"] = [self._receive]
        self.busy = False
        self._url = url
        self._parsing = parsing
        self._due = 0.0
        self._reduce: Reduce = lambda body: body

    def ask(self, query: str, reduce: Reduce, at: float | None, due: float) -> Any:
        left = due - time.monotonic()
        if left <= 0:
            raise QueryError("no time left to ask")
        self._due, self._reduce, self.busy = due, reduce, True
        try:
            return self.connect.custom_query(
                query,
                params={} if at is None else {"time": f"{at:.3f}"},
                # Silence may last as long as there is time: then the wire is cut.
                timeout=(min(CONNECT_TIMEOUT, left), left + 1.0),
            )
        except (requests.RequestException, OSError, ValueError, QueryError) as error:
            raise describe(error, self._url) from error
        except PrometheusApiClientException as error:
            raise QueryError(str(error)) from error
        finally:
            self.busy = False

    def _receive(self, response: requests.Response, **_: Any) -> requests.Response:
        """The response hook: read within bounds, check, keep what PrometheusConnect drops."""
        if response.is_redirect:
            return response
        body = receive(response, lambda: time.monotonic() > self._due)
        return Answer(response, body, self._parse)

    def _parse(self, body: bytes) -> Any:
        with self._parsing:
            if time.monotonic() > self._due:
                raise QueryError("no time left to read its answer")
            try:
                return self._reduce(body)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                raise QueryError(f"its answer has a strange shape: {error!r}") from error
