"""The metrics API at 10, 100, 1,000 and 10,000 pods, direct and through a real API server.

Measured is a process that ticks for real (`api_world`): its gate follows the real ConfigMap and
makes real reviews, its certificate is the one in the real APIServices. Direct is how the
aggregator asks: TLS, the front proxy's certificate, X-Remote-*. Through the API server asks the
HPA's own service account. Figures stand beside what prometheus-adapter did on the same test bed,
with its client's rate limit lifted; `ratio` is how many times better ours is.

    python -m bench.metrics_api [--pods 1000] [--seconds 5]
"""

from __future__ import annotations

import argparse
import base64
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.figures import figure, resident_mb, say, testbed_lacks

if TYPE_CHECKING:
    from bench.api_load import Door, Measured
    from bench.api_world import Server
    from tests.stories.hpa_world import HpaWorld

SIZES = (10, 100, 1_000, 10_000)
CLIENTS = 8
# An open loop of two stock HPA controllers and more, which ask 20 times a second each at most.
OPEN_RATE, OPEN_CLIENTS, OPEN_SIZES, OPEN_SECONDS = 50.0, 16, (1_000, 10_000), 25.0
MEMORY_AIM = 150.0  # MB, at 1,000 pods
TARGET = (
    "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/%2A/avg_time_queue_us"
    "?labelSelector=app%3Dtriton"
)
ASK = (
    f"GET {TARGET} HTTP/1.1\r\nHost: bench\r\nAccept: application/vnd.kubernetes.protobuf, */*\r\n"
)
HPA = "kube-system/horizontal-pod-autoscaler"
REMOTE = (
    f"X-Remote-User: system:serviceaccount:{HPA.replace('/', ':')}\r\nX-Remote-Uid: 7a0c6f1e\r\n"
    "X-Remote-Group: system:serviceaccounts\r\n"
    "X-Remote-Group: system:serviceaccounts:kube-system\r\n"
    "X-Remote-Group: system:authenticated\r\n"
    "X-Remote-Extra-Authentication.kubernetes.io%2fcredential-Id: JTI=9f2d\r\n"
)


@dataclass(frozen=True)
class Adapter:
    """prometheus-adapter's requests/s (8 clients) and p99 in ms (1 client); aims are ratios."""

    rate: float
    p99: float
    rate_aim: float | None = None
    p99_aim: float = 20.0


ADAPTER = {
    10: Adapter(186, 78),
    100: Adapter(38, 111, rate_aim=50.0),
    1_000: Adapter(4.8, 446, rate_aim=200.0),
    10_000: Adapter(0.3, 3_800),
}


def main(sizes: tuple[int, ...] = SIZES, seconds: float = 5.0) -> None:
    lacks = testbed_lacks("kubernetes", "etcd")
    if lacks:
        say(f"metrics API: SKIPPED, nothing was measured: {lacks}")
        return
    say("metrics API: pods/*/avg_time_queue_us while the loop ticks; an HPA takes gzip")
    with cluster() as world:
        for pods in sizes:
            one_size(world, pods, seconds)


@contextmanager
def cluster() -> Iterator[HpaWorld]:
    """A control plane with the shipped roles and APIServices."""
    from tests.stories.hpa_world import PORTS, HpaWorld
    from tests.testbed.control_plane import ControlPlane
    from tests.testbed.loopback import free_address
    from tests.testbed.parts import ensure_control_plane

    with ControlPlane(ensure_control_plane()) as plane:
        world = HpaWorld(plane, free_address(*PORTS))
        world.install()
        yield world


def one_size(world: HpaWorld, pods: int, seconds: float) -> None:
    from bench.api_world import running
    from tests.stories.hpa_world import ACCOUNT, PORTS, SECRET, SERVICE

    login = world.plane.kubeconfig_for(service_account=f"{ACCOUNT}/{ACCOUNT}")
    place = (world.address, PORTS[0])
    with running(pods, login, place, (SERVICE, ACCOUNT, SECRET)) as server:
        world.plane.await_apiservice("custom.metrics.k8s.io/v1beta2")
        doors = {"direct": direct(world), "through the API server": through(world)}
        requests = 0
        for way, door in doors.items():
            for gzip in (True, False):
                requests += closed(door, pods, way, gzip, seconds)
            if pods in OPEN_SIZES:
                requests += opened(door, f"{pods} pods, {way}")
        report(server, pods, requests)


def direct(world: HpaWorld) -> Door:
    from bench.api_load import Door
    from tests.stories.hpa_world import ACCOUNT, PORTS, SERVICE

    name = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta2.custom.metrics.k8s.io"
    authority = world.plane.home / "metrics-api.pem"
    authority.write_bytes(base64.b64decode(world.plane.api.get(name)["spec"]["caBundle"]))
    proxy = world.plane.front_proxy_client
    head = (ASK + REMOTE).encode()
    host, certificate = f"{SERVICE}.{ACCOUNT}.svc", (proxy.certificate, proxy.key)
    return Door(world.address, PORTS[0], authority, host, head, certificate)


def through(world: HpaWorld) -> Door:
    from bench.api_load import Door

    plane = world.plane
    head = f"{ASK}Authorization: Bearer {plane.token(HPA)}\r\n".encode()
    port = int(plane.url.rpartition(":")[2])
    return Door(plane.address, port, plane.cluster_ca, "localhost", head)


# --- the figures --------------------------------------------------------------------------------


def closed(door: Door, pods: int, way: str, gzip: bool, seconds: float) -> int:
    from bench.api_load import Load, put

    size = f"{pods} pods, {way}, {'gzip' if gzip else 'identity'}"
    alone = put(door, Load(1, seconds / 2, gzip))
    together = put(door, Load(CLIENTS, seconds, gzip))
    p50, p99 = quantiles(alone)
    rate = len(together.latencies) / together.seconds
    figure("metrics_api_p50", p50, "ms", f"{size}, 1 client")
    figure("metrics_api_p99", p99, "ms", f"{size}, 1 client")
    figure("metrics_api_rate", rate, "requests/s", f"{size}, {CLIENTS} clients")
    figure("metrics_api_body", together.body / 1e3, "kB", size)
    compare(ADAPTER.get(pods), size, p99, rate)
    return len(alone.latencies) + len(together.latencies)


def compare(adapter: Adapter | None, size: str, p99: float, rate: float) -> None:
    """How many times better than prometheus-adapter; an aim where there is one."""
    if adapter is None:
        return
    for name, ratio, theirs, aim in (
        ("metrics_api_rate_ratio", rate / adapter.rate, adapter.rate, adapter.rate_aim),
        ("metrics_api_p99_ratio", adapter.p99 / p99, adapter.p99, adapter.p99_aim),
    ):
        aimed = {} if aim is None else {"aim": aim, "reached": ratio >= aim}
        figure(name, ratio, "x", size, adapter=theirs, **aimed)


def opened(door: Door, way: str) -> int:
    """Whoever asks at a fixed time waits for what the tick holds up: a closed loop hides that."""
    from bench.api_load import Load, put

    found = put(door, Load(OPEN_CLIENTS, OPEN_SECONDS, gzip=True, rate=OPEN_RATE))
    size = f"{way}, gzip, open loop of {OPEN_RATE:g} requests/s"
    p50, p99 = quantiles(found)
    figure("metrics_api_open_p50", p50, "ms", size)
    figure("metrics_api_open_p99", p99, "ms", size)
    figure("metrics_api_open_max", max(found.latencies) * 1e3, "ms", size)
    return len(found.latencies)


def report(server: Server, pods: int, requests: int) -> None:
    size = f"{pods} pods"
    ticks, counts, queries = server.count()
    beyond = queries - len(ticks) * server.queries_per_tick
    figure("metrics_api_tick", statistics.median(ticks), "s", size, ticks=len(ticks))
    figure("metrics_api_queries_per_request", beyond / requests, "1", size, requests=requests)
    figure("metrics_api_reviews", counts.reviews, "1", size, requests=requests)
    figure("metrics_api_renderings", counts.rendered, "1", size, ticks=len(ticks))
    aim = {"aim": MEMORY_AIM} if pods == 1_000 else {}
    figure("metrics_api_resident", resident_mb(server.pid), "MB", size, **aim)


def quantiles(found: Measured) -> tuple[float, float]:
    """p50 and p99 in ms."""
    cuts = statistics.quantiles(found.latencies, n=100, method="inclusive")
    return cuts[49] * 1e3, cuts[98] * 1e3


def command() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pods", type=int, action="append", help="these sizes only")
    parser.add_argument("--seconds", type=float, default=5.0, help="of load with 8 clients")
    arguments = parser.parse_args()
    main(tuple(arguments.pods or SIZES), arguments.seconds)


if __name__ == "__main__":
    command()
