"""From the end of the leading daemon until its standby may write: two real processes, a real API
server, the shipped times (15 s lease, 10 s to renew, a try every 2 s)."""

from __future__ import annotations

import random
import secrets
import signal
import statistics
import tempfile
import time
from pathlib import Path

from bench.figures import figure, say, testbed_lacks
from tests.contract.two_daemons import Pair, failover
from tests.testbed.control_plane import ControlPlane
from tests.testbed.kwok import Kwok
from tests.testbed.parts import ensure_control_plane, ensure_kwok

KILLS, STOPS = 4, 4
RETRY = 2.0
# 15 s after the standby saw the last renewal, which it sees a retry of 2 s late at most.
AIM_KILLED = 15.0
# A tick that ends, the release, and the standby's next look.
AIM_STOPPED = 5.0


def measure(pair: Pair, number: signal.Signals, trials: int) -> list[float]:
    times, rng = [], random.Random(1)
    for trial in range(trials):
        time.sleep(rng.uniform(0, RETRY))  # anywhere between two renewals
        times.append(failover(pair, number))
        say(f"failover: {number.name} {trial + 1} of {trials}: {times[-1]:.1f} s")
        pair.start()
        pair.until(lambda: pair.stands_by(pair.daemons[-1]), "a new standby")
    return times


def main() -> None:
    lacks = testbed_lacks("kubernetes", "etcd", "kwok")
    if lacks:
        say(f"failover: {lacks}")
        return
    say("failover: leader killed or stopped → the standby leads, wall time")
    with (
        tempfile.TemporaryDirectory() as scratch,
        ControlPlane(ensure_control_plane()) as plane,
        Kwok(ensure_kwok(), plane) as kwok,
    ):
        kwok.add_gpu_nodes(1)
        namespace = f"failover-{secrets.token_hex(3)}"
        plane.create_namespace(namespace)
        with Pair(plane, namespace, Path(scratch)) as pair:
            for name, number, trials, aim in (
                ("killed", signal.SIGKILL, KILLS, AIM_KILLED),
                ("stopped", signal.SIGTERM, STOPS, AIM_STOPPED),
            ):
                times = measure(pair, number, trials)
                size = f"2 daemons, {trials} trials"
                figure(f"failover_{name}_median", statistics.median(times), "s", size)
                figure(f"failover_{name}_max", max(times), "s", size, aim=aim)


if __name__ == "__main__":
    main()
