"""Range queries through PrometheusConnect in worker threads, each with a deadline of its own.

As `observe.query_api` does for instant queries: what PrometheusConnect drops (warnings, the kind
of the result) is checked on the way through, bodies are read within bounds.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests
import tenacity
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

from autoscaler.observe.answer import Answer, QueryError, describe, receive
from autoscaler.observe.query_api import CONNECT_TIMEOUT, Access
from autoscaler.observe.wire import Wire
from autoscaler.sim.backtest.cache import Cache
from autoscaler.sim.backtest.chunks import Chunk

WORKERS = 4  # Prometheus runs 20 queries at once, for everybody: alerts come first
TIMEOUT = 120.0  # Prometheus' own limit on a query
TRIES = 3
# What was scraped just now may still change (remote write, late samples): not kept on disk.
SETTLED = 600.0
# Seconds of cutting what is under way; where a query was interrupted in this very thread nobody may
# be left to count it off.
CUT_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Body:
    """What came, as it came; `cached`: from disk."""

    content: bytes
    cached: bool


class RangeApi:
    """`asked` and `cached` count queries sent and answers found on disk."""

    def __init__(self, access: Access, cache: Cache, *, timeout: float = TIMEOUT) -> None:
        self.url = access.url.rstrip("/")
        self.pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="backtest")
        self.asked = self.cached = 0
        self._access, self._cache, self._timeout = access, cache, timeout
        self._own = threading.local()
        self._counting = threading.Lock()
        self._wires: list[Wire] = []
        self._busy = 0
        self._stopped = False

    def range(self, query: str, chunk: Chunk) -> Body:
        """Raises QueryError, after TRIES where it may pass. In a worker thread."""
        key = self._key(query, chunk)
        found = self._cache.read(key)
        if found is not None:
            with self._counting:
                self.cached += 1
            return Body(found, cached=True)
        body = self._tries(query, chunk)
        now = time.time()
        if chunk.end <= now - SETTLED or chunk.start > now:  # a recording may lie ahead of us
            self._cache.write(key, body)
        return Body(body, cached=False)

    def close(self) -> None:
        """Cuts what is under way, and what a worker was just about to send."""
        self._stopped = True
        self.pool.shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + CUT_WITHIN
        while self._busy and time.monotonic() < until:
            for wire in tuple(self._wires):
                wire.cut()
            time.sleep(0.02)
        for wire in self._wires:
            wire.close()
        self.pool.shutdown(wait=True)

    def _key(self, query: str, chunk: Chunk) -> dict[str, object]:
        url = requests.utils.urldefragauth(self.url)
        key: dict[str, object] = {
            "url": url,
            "query": query,
            "start": chunk.start,
            "end": chunk.end,
            "step": chunk.step,
        }
        if self._access.headers:  # a tenant's name, for example
            headers = json.dumps(sorted(self._access.headers.items()))
            key["headers"] = hashlib.sha256(headers.encode()).hexdigest()[:16]
        return key

    def _tries(self, query: str, chunk: Chunk) -> bytes:
        tries = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(TRIES),
            wait=tenacity.wait_exponential(multiplier=0.5, max=5),
            retry=tenacity.retry_if_exception(
                lambda error: getattr(error, "passing", False) and not self._stopped
            ),
            reraise=True,
        )
        body: bytes = tries(self._ask, query, chunk)
        return body

    def _ask(self, query: str, chunk: Chunk) -> bytes:
        with self._counting:
            if self._stopped:
                raise QueryError("stopped")
            self._busy += 1
            self.asked += 1
        try:
            return self._line().ask(query, chunk, self._timeout)
        finally:
            with self._counting:
                self._busy -= 1

    def _line(self) -> _Line:
        line: _Line | None = getattr(self._own, "line", None)
        if line is None:
            verify: bool | str = str(self._access.ca_file or "") or self._access.verify
            line = self._own.line = _Line(self.url, verify)
            self._wires.append(line.wire)
        try:
            line.connect.headers = self._access.authorization()
        except (OSError, UnicodeDecodeError) as error:
            raise QueryError(f"cannot read the credentials for Prometheus: {error}") from error
        return line


class _Line:
    """One thread's client."""

    def __init__(self, url: str, verify: bool | str) -> None:
        self.wire = Wire(verify)
        # A no-op `auth`: without one, requests would let ~/.netrc replace the bearer token.
        self.connect = PrometheusConnect(url, session=self.wire.session, auth=lambda sent: sent)
        self.wire.watch(url)
        self.wire.session.hooks["response"] = [self._receive]
        self._url = url
        self._due = 0.0

    def ask(self, query: str, chunk: Chunk, timeout: float) -> bytes:
        """The timeout of `requests` bounds a silence, not an answer that drips: so it is cut."""
        self._due = time.monotonic() + timeout
        watchdog = threading.Timer(timeout, self.wire.cut)
        watchdog.daemon = True
        watchdog.start()
        try:
            body: Any = self.connect.custom_query_range(
                query,
                datetime.fromtimestamp(chunk.start, UTC),
                datetime.fromtimestamp(chunk.end, UTC),
                str(chunk.step),
                timeout=(min(CONNECT_TIMEOUT, timeout), timeout),
            )
        except (requests.RequestException, OSError, ValueError, QueryError) as error:
            if time.monotonic() >= self._due:
                raise QueryError(f"no answer in time ({timeout:g}s)") from error
            raise describe(error, self._url) from error
        except PrometheusApiClientException as error:
            raise QueryError(str(error)) from error
        finally:
            watchdog.cancel()
        assert isinstance(body, bytes)
        return body

    def _receive(self, response: requests.Response, **_: Any) -> requests.Response:
        if response.is_redirect:
            return response
        body = receive(response, lambda: time.monotonic() > self._due)
        return Answer(response, body, lambda content: content)
