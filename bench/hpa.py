"""From a load step to the first scale-up by the real HPA, which follows the queue time we serve.

Nothing is sped up but the scrapes: a real Triton, a real Prometheus that finds it, the daemon and
the shipped HPA on a real control plane, with the tick and the sync period that people run. What
the intervals allow is their sum: a step may just miss a scrape, that a tick, that a look of the
HPA. Steps come at random phases.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench.figures import figure, say, testbed_lacks

if TYPE_CHECKING:
    from tests.stories.hpa_world import HpaWorld

SCRAPE, TICK, SYNC, STEPS = 5, 5, 15, 3  # seconds, and how often
CLIENTS, SECONDS_EACH = 28, 0.05  # each waits 27 turns of 50 ms at one pod; the target is 50 ms
LIMIT = 90.0


def main() -> None:
    lacks = testbed_lacks("kubernetes", "etcd", "prometheus", "triton")
    if lacks:
        say(f"HPA: SKIPPED, nothing was measured: {lacks}")
        return
    say(f"HPA: {STEPS} load steps to the first scale-up of the real HPA, about 3 minutes")
    with TemporaryDirectory() as scratch, flower(Path(scratch)) as world:
        delays = [step(world, number) for number in range(STEPS)]
    size = f"scrape {SCRAPE} s, tick {TICK} s, sync {SYNC} s, {STEPS} steps from idle"
    bound = SCRAPE + TICK + SYNC
    figure("hpa_first_scale_up_median", statistics.median(delays), "s", size, bound=bound)
    figure("hpa_first_scale_up_max", max(delays), "s", size, bound=bound)


@contextmanager
def flower(scratch: Path) -> Iterator[HpaWorld]:
    """The shipped fleet of one Ready Triton, and our daemon beside it."""
    from tests.stories.hpa_world import MANIFESTS, PORTS, HpaWorld, until
    from tests.testbed import parts
    from tests.testbed.control_plane import ControlPlane
    from tests.testbed.discovery import pod_discovery
    from tests.testbed.kubelet import Kubelet
    from tests.testbed.loopback import free_address
    from tests.testbed.models import ToyModel, model_repository
    from tests.testbed.prometheus_server import PrometheusServer
    from tests.testbed.triton_pods import MODELS, TritonPods

    model = ToyModel("flowers", delay_s=SECONDS_EACH, max_batch_size=1)
    models = {"flowers": model_repository(scratch / "models", [model])}
    policies = MANIFESTS / "overlays" / "flower" / "policies"
    slices = {"nvidia.com/mig-1g.5gb": "7"}
    with ControlPlane(parts.ensure_control_plane(), hpa_sync_period=f"{SYNC}s") as plane:
        world = HpaWorld(plane, free_address(*PORTS))
        world.install()
        deployment = world.shipped_one("flower", "Deployment", "flower")
        template = deployment["spec"]["template"]
        template["metadata"]["annotations"] = {MODELS: "flowers"}
        discovery = pod_discovery(plane, namespaces=["default"])
        with (
            Kubelet(plane, TritonPods(parts.ensure_triton(), models), resources=slices) as kubelet,
            PrometheusServer(
                parts.ensure_prometheus(),
                scrape_configs=[discovery],
                scrape_interval=f"{SCRAPE}s",
            ) as prometheus,
            world.daemon(policies, prometheus.url, scratch, interval=f"{TICK}s"),
        ):
            template["spec"] |= kubelet.placement
            with world.applied(deployment):
                until(lambda: world.ready() == 1, "one Ready Triton", within_s=60)
                yield world


def step(world: HpaWorld, number: int) -> float:
    """Seconds from the first request to the HPA's write."""
    from tests.stories.hpa_world import load, until

    until(lambda: [*world.queue_times().values()] == ["0"], "an idle pod", within_s=LIMIT)
    with world.applied(world.shipped_one("flower", "HorizontalPodAutoscaler", "flower")):
        until(lambda: world.reason()[0] == "ValidMetricFound", "an HPA that reads us", within_s=60)
        time.sleep(random.Random(number).uniform(0, SYNC))
        began = time.monotonic()
        with load(world, "flowers", clients=CLIENTS, limit_s=LIMIT):
            while world.wanted() == 1:
                if time.monotonic() > began + LIMIT:
                    raise SystemExit(f"no scale-up in {LIMIT:.0f} s: {world.reason()}")
                time.sleep(0.05)
            delay = time.monotonic() - began
    say(f"HPA: step {number + 1} of {STEPS}: {delay:.1f} s")
    if number + 1 == STEPS:
        return delay
    world.plane.kubectl("scale", "deployment", "flower", "--replicas=1", "-n=default")
    until(lambda: len(world.pods()) == 1, "one pod", within_s=60)
    return delay


if __name__ == "__main__":
    main()
