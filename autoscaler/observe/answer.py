"""What Prometheus' HTTP API answered: the body read within bounds, checked, and put in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson
import requests

# 10,000 pods of 2 models are 2.5 MB a query.
LARGEST_BODY = 128 * 2**20
_CHUNK = 2**20
# Prometheus 2.48 to 2.54 sent its remarks as warnings; "metric might not be a counter" comes with
# every rate() over Triton's counters, whose names do not end in _total.
_REMARK = "PromQL info:"


class QueryError(Exception):
    """Why a query has no usable answer, in words. `passing`: a second try may succeed."""

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


@dataclass(frozen=True, slots=True)
class Result:
    """`kind` is vector (rows `{"metric": {…}, "value": [time, "text"]}`), scalar (one such row)
    or matrix (rows with `values`)."""

    kind: str
    rows: list[Any]


class Answer(requests.Response):
    """A response whose `json()` is the checked, reduced result, as PrometheusConnect unwraps it.

    PrometheusConnect returns `data.result` alone: `warnings` (a partial answer of Thanos) and
    `resultType` would be lost. So they are checked here, on the way through.
    """

    def __init__(
        self, response: requests.Response, body: bytes, reduce: Callable[[bytes], Any]
    ) -> None:
        super().__init__()
        self.__dict__.update(response.__dict__)
        self._body = body
        self._reduce = reduce

    @property
    def content(self) -> bytes:
        return self._body

    def json(self, **_: Any) -> Any:
        body, self._body = self._body, b""
        return {"data": {"result": self._reduce(body)}}


def receive(response: requests.Response, out_of_time: Callable[[], bool]) -> bytes:
    """The body of a good answer; raises QueryError for a bad status or one that is too large."""
    parts, size = [], 0
    for chunk in response.iter_content(_CHUNK):
        parts.append(chunk)
        size += len(chunk)
        if size > LARGEST_BODY:
            response.close()
            raise QueryError(f"its answer is over {LARGEST_BODY // 2**20} MiB")
        if out_of_time():
            response.close()
            raise QueryError("its answer came too slowly")
    body = b"".join(parts)
    if response.status_code != 200:
        _refused(response, body)
    return body


def read_result(body: bytes) -> Result:
    """Checks status, warnings and shape; anything else than a full result is a QueryError."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise QueryError(
            f"its answer is not JSON (cut off, or not Prometheus?): {_excerpt(body)}"
        ) from None
    if not isinstance(data, dict) or data.get("status") != "success":
        reason = data.get("error") if isinstance(data, dict) else None
        raise QueryError(f"it answers {reason or _excerpt(body)}")
    warnings = data.get("warnings") or ()
    partial = [str(text) for text in warnings if not str(text).startswith(_REMARK)]
    if partial:
        raise QueryError(f"partial answer: {'; '.join(partial[:3])}")
    result = data.get("data")
    kind = result.get("resultType") if isinstance(result, dict) else None
    rows = result.get("result") if isinstance(result, dict) else None
    if kind not in ("vector", "matrix", "scalar") or not isinstance(rows, list):
        raise QueryError(f"its answer is not a vector: {_excerpt(body)}")
    return Result(kind, [{"metric": {}, "value": rows}] if kind == "scalar" else rows)


# A row of a vector, as Go's encoder writes it: its labels, and its value as text.
_ROW = re.compile(rb'\{"metric":\{([^{}]*)\},"value":\[[^],]+,"([^"]*)"\]\}')
_ROW_STARTS = b'{"metric":'


def read_pairs(body: bytes) -> list[tuple[bytes, bytes]]:
    """The labels (JSON text, without braces) and the value (text) of each row of a vector.

    A body of 20,000 rows takes 9 ms and 4 MB this way, and 20 ms and 16 MB as parsed JSON. All
    that stands around the rows is parsed as ever; where a row looks different (braces in a
    label), or not every row was found, so is the whole.
    """
    pairs: list[tuple[bytes, bytes]] = _ROW.findall(body)
    if pairs and len(pairs) == body.count(_ROW_STARTS):
        last = _ROW.search(body, body.rfind(_ROW_STARTS))
        if last is not None:
            read_result(body[: body.find(_ROW_STARTS)] + body[last.end() :])
            return pairs
    rows = read_result(body).rows
    return [(orjson.dumps(row["metric"])[1:-1], str(row["value"][1]).encode()) for row in rows]


def describe(error: Exception, url: str) -> QueryError:
    """An exception of `requests` in words that name the place and the reason."""
    if isinstance(error, QueryError):
        return error
    place = _place(url)
    passing = False
    match error:
        case (
            requests.exceptions.InvalidURL()
            | requests.exceptions.MissingSchema()
            | requests.exceptions.InvalidSchema()
        ):
            reason = f"{place} is no URL to ask: write for example http://prometheus:9090"
        case requests.exceptions.SSLError():
            reason = f"TLS to {place} failed: {_root(error)}; give its CA file"
        case requests.exceptions.ConnectTimeout():
            reason = f"no connection to {place}: timed out"
        case requests.exceptions.Timeout():
            reason = f"no answer from {place} in time"
        case requests.exceptions.TooManyRedirects():
            reason = f"{place} redirects in circles"
        case requests.exceptions.ConnectionError() | requests.exceptions.ChunkedEncodingError():
            reason, passing = f"no connection to {place}: {_root(error)}", True
        case _:
            reason = f"{place}: {type(error).__name__}: {error}"
    return QueryError(reason, passing=passing)


def _place(url: str) -> str:
    """`http://prometheus:9090`: never with the user and the password that may be in a URL."""
    scheme, _, rest = url.rpartition("://")
    host = rest.split("/")[0].rpartition("@")[2]
    return f"{scheme}://{host}" if scheme else host


def _refused(response: requests.Response, body: bytes) -> NoReturn:
    """HTTP errors carry Prometheus' own words: `bad_data: parse error: unexpected …`."""
    status = response.status_code
    try:
        data = orjson.loads(body)
        words = f"{data['errorType']}: {data['error']}"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        words = _excerpt(body)
    remedy = "; give a bearer token or user and password" if status in (401, 403) else ""
    raise QueryError(f"HTTP {status} {words}{remedy}", passing=status >= 500)


def _excerpt(body: bytes) -> str:
    """The first words of a body that should not be there, tags left out."""
    text = re.sub(r"<[^>]*>|\s+", " ", body[:2000].decode(errors="replace"))
    text = " ".join(text.split())
    return (text[:100] + "…" if len(text) > 100 else text) or "(empty)"


def _root(error: BaseException) -> str:
    """The innermost reason: `Connection refused` instead of three nested pool errors."""
    deepest: BaseException = error
    while True:
        inner = getattr(deepest, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in deepest.args if isinstance(arg, BaseException)), None)
        if inner is None:
            inner = deepest.__cause__
        if inner is None:
            break
        deepest = inner
    return str(getattr(deepest, "strerror", None) or deepest).split(">: ")[-1]
