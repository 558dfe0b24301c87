"""A metrics API on loopback with a fleet behind it, a gate that lets everybody in, and a clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from autoscaler.clock import WalkingClock
from autoscaler.model import (
    Decision,
    Metric,
    Missing,
    ModelSignals,
    Observation,
    Pod,
    Policy,
    Replicas,
    Sample,
    Target,
)
from autoscaler.serve.board import Verdict
from autoscaler.serve.metrics_api.catalog import Catalog
from autoscaler.serve.metrics_api.ports import Attributes, Denied
from autoscaler.serve.metrics_api.server import MetricsApi
from autoscaler.serve.metrics_api.views import TargetLabels
from tests.unit.decide.fleets import POLICY, WINDOWS, model

# 2026-11-21T08:09:10.7Z
NOW = 1_795_248_550.7
CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2"
OLD = "/apis/custom.metrics.k8s.io/v1beta1"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"
QUEUE = "avg_time_queue_us"
PODS = f"{CUSTOM}/namespaces/default/pods/*/{QUEUE}"


class OpenGate:
    """Everybody may; remembers who asked for what, and can be shut."""

    def __init__(self) -> None:
        self.asked: list[Attributes | None] = []
        self.shut: Denied | None = None

    async def admit(self, request: web.BaseRequest, attributes: Attributes | None) -> None:
        self.asked.append(attributes)
        if self.shut is not None:
            raise self.shut


@dataclass
class Fleet:
    """What one tick saw and decided of one policy."""

    policy: Policy
    pods: tuple[Pod, ...]
    desired: int | None = 3
    replicas: Replicas | Missing | None = None
    metrics: dict[str, Sample | Missing] = field(default_factory=dict)
    labels: TargetLabels | None = None
    at: float = NOW

    def observation(self) -> Observation:
        return Observation(
            policy=self.policy.key,
            at=self.at,
            replicas=self.replicas or Replicas(len(self.pods), len(self.pods)),
            pods=self.pods,
            metrics=self.metrics,
            windows=WINDOWS,
        )

    def decision(self) -> Decision:
        return Decision(
            policy=self.policy.key,
            target=self.policy.target,
            at=self.at,
            mode=self.policy.mode,
            current=len(self.pods),
            ready=len(self.pods),
            desired=self.desired,
            binding="demand",
            hold=None if self.desired is not None else "Prometheus does not answer",
            sentence="Stay.",
            flip="",
        )


def named(name: str, **changes: Any) -> Policy:
    target = replace(POLICY.target, name=name)
    return replace(POLICY, **({"name": name, "target": target, "mode": "recommend"} | changes))


def flower(**changes: Any) -> Fleet:
    """Two pods: resnet50 waits 1.5 ms in the first and 2 ms in the second, bert 10 ms."""
    at = NOW - 7
    return fleet(
        "flower",
        pod("flower-a", model(at, 30.0, 0.0015, pending=2.0)),
        pod("flower-b", model(at, 30.0, 0.002), model(at, 10.0, 0.010, name="bert")),
        **changes,
    )


def fleet(name: str, *pods: Pod, **changes: Any) -> Fleet:
    """Its pods carry `app: NAME`."""
    labels = TargetLabels(
        f"app={name}", {"team": "vision"}, {one.name: {"app": name} for one in pods}
    )
    fields: dict[str, Any] = {"policy": named(name), "labels": labels, "pods": pods}
    return Fleet(**(fields | changes))


def pod(name: str, *models: ModelSignals, **changes: Any) -> Pod:
    duty, power = Sample(0.731, NOW - 3, 45.0), Sample(0.62, NOW - 7, 60.0)
    fields: dict[str, Any] = {"models": models, "duty_cycle": duty, "gpu_power": power}
    return Pod(name, **(fields | changes))


def silent(name: str, reason: str, **changes: Any) -> Pod:
    why = Missing(reason)
    return pod(name, ModelSignals("resnet50", *[why] * 10), duty_cycle=why, **changes)


OWN = Metric(id="metric-1", query="sum(x)", average_value=4.0)


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def values(self) -> dict[str, str]:
        """name of the object → value"""
        return {one["describedObject"]["name"]: one["value"] for one in self.json["items"]}

    @property
    def message(self) -> str:
        """Of a Status, whose code is also that of HTTP."""
        found = self.json
        assert (found["kind"], found["status"]) == ("Status", "Failure")
        assert found["code"] == self.status
        return str(found["message"])


class Served:
    """The API, its gate, its clock, and a client."""

    def __init__(self, catalog: Catalog | None = None) -> None:
        self.clock = WalkingClock(NOW)
        self.gate = OpenGate()
        self.verdict = Verdict(True, "")
        self.told: list[tuple[str, int]] = []
        self.broken: list[Exception] = []
        self.api = MetricsApi(
            self.gate,
            self.clock,
            catalog=catalog,
            live=lambda: self.verdict,
            ready=lambda: self.verdict,
            told=lambda kind, code, _: self.told.append((kind, code)),
            broken=self.broken.append,
        )
        self._session: aiohttp.ClientSession | None = None

    def tick(self, *fleets: Fleet) -> None:
        labels: dict[Target, TargetLabels] = {}
        for one in fleets:
            if one.labels is not None:
                labels[one.policy.target] = one.labels
        self.api.publish(
            self.clock.now(),
            [one.policy for one in fleets],
            {one.policy.key: one.observation() for one in fleets},
            [one.decision() for one in fleets],
            labels,
        )

    async def get(self, target: str, method: str = "GET", **headers: str) -> Answer:
        """`target` goes out as it is, undecoded."""
        assert self._session is not None
        from yarl import URL

        url = URL(f"http://127.0.0.1:{self.api.port}{target}", encoded=True)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.request(method, url, headers=sent) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.read())

    async def raw(self, *chunks: bytes) -> bytes:
        """Bytes in, bytes out, until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.api.port)
        try:
            for chunk in chunks:
                writer.write(chunk)
                await writer.drain()
            return await asyncio.wait_for(reader.read(), 10.0)
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Served]:
        await self.api.start("127.0.0.1", 0, None)
        async with aiohttp.ClientSession(
            auto_decompress=False, skip_auto_headers=("Accept-Encoding",)
        ) as self._session:
            yield self
        await self.api.close()


def statuses(answers: Sequence[Answer]) -> list[int]:
    return [one.status for one in answers]
