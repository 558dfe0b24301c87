"""The shipped fleet, with pods of kwok and pages of numbers: for many short stories."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.stories.hpa_pages import Load, Pages
from tests.stories.hpa_world import HpaWorld, quick, until
from tests.testbed.api import Object
from tests.testbed.prometheus_server import PrometheusServer

# The shipped HPA's target, in µs: at this value it stays where it is.
TARGET = 50_000


@dataclass(frozen=True)
class Bed:
    world: HpaWorld
    pages: Pages
    prometheus: PrometheusServer

    @contextmanager
    def flower(self, replicas: int, *more: Object) -> Iterator[None]:
        """The shipped Deployment of so many Ready pods, whose series we serve."""
        deployment = self.world.shipped_one("flower", "Deployment", "flower")
        deployment["spec"]["replicas"] = replicas
        with self.world.applied(deployment, *more):
            until(lambda: self.world.ready() == replicas, f"{replicas} Ready pods", within_s=60)
            until(lambda: len(self.world.queue_times()) == replicas, "all in the list", within_s=60)
            yield


def at_target(factor: float = 1.0) -> dict[str, Load]:
    return {"flowers": Load(rate=20.0, queue_us=factor * TARGET)}


def hasty(world: HpaWorld, **changes: Any) -> Object:
    """The shipped HPA on queue time; grows at once, shrinks after 5 s."""
    found = quick(world.shipped_one("flower", "HorizontalPodAutoscaler", "flower"))
    found["spec"]["behavior"]["scaleUp"]["policies"][0]["value"] = 1000
    found["spec"] |= changes
    return found


def reads(world: HpaWorld) -> None:
    until(lambda: world.reason()[0] == "ValidMetricFound", "an HPA that reads us", within_s=60)


def canary(world: HpaWorld) -> Object:
    """Another Deployment whose pods the selector of `flower` matches, too."""
    found = world.shipped_one("flower", "Deployment", "flower")
    found["metadata"]["name"] = "flower-canary"
    found["spec"]["replicas"] = 1
    labels = {"app": "flower", "track": "canary"}
    found["spec"]["selector"]["matchLabels"] = labels
    found["spec"]["template"]["metadata"]["labels"] = labels
    return found
