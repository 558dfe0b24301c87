"""python -m tests.testbed build [part…] | where | cluster"""

import argparse
import sys
import time
from pathlib import Path

from tests.testbed import cache, parts

ENSURE = {
    "prometheus": parts.ensure_prometheus,
    "kubernetes": parts.ensure_kubernetes,
    "etcd": parts.ensure_etcd,
    "kwok": parts.ensure_kwok,
    "karpenter": parts.ensure_karpenter,
    "triton": parts.ensure_triton,
    "perf_analyzer": parts.ensure_perf_analyzer,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help="fetch or build parts into the cache")
    build.add_argument("part", nargs="*", help=f"of {', '.join(ENSURE)}; all by default")
    verbs.add_parser("where", help="say where the parts lie")
    run = verbs.add_parser("cluster", help="run a whole cluster on loopback until Ctrl-C")
    run.add_argument("--gpu-nodes", type=int, default=4, help="fake nodes of 8 GPUs each")
    run.add_argument("--hpa-sync-period", default="15s")
    run.add_argument("--kubeconfig", type=Path, help="write it there too while it runs")
    asked = parser.parse_args()
    if asked.verb == "where":
        return _where()
    if asked.verb == "cluster":
        return _cluster(asked)
    unknown = set(asked.part) - set(ENSURE)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}")
    return _build(asked.part or list(ENSURE))


def _build(names: list[str]) -> int:
    missing = 0
    for name in names:
        began = time.monotonic()
        try:
            found = ENSURE[name]()
        except parts.PartUnavailable as error:
            missing += 1
            cache.say(str(error))
        else:
            cache.say(f"{name}: ready after {time.monotonic() - began:.1f} s: {found}")
    return 1 if missing else 0


def _cluster(asked: argparse.Namespace) -> int:
    # Parts are built without the packages that a cluster needs.
    from tests.testbed.cluster import run_until_told

    try:
        return run_until_told(
            gpu_nodes=asked.gpu_nodes,
            hpa_sync_period=asked.hpa_sync_period,
            kubeconfig=asked.kubeconfig,
        )
    except parts.PartUnavailable as error:
        cache.say(str(error))
        return 1


def _where() -> int:
    print(f"cache ({cache.ROOT_VARIABLE}): {cache.root()}")
    for name, place in parts.places().items():
        print(f"{name}: {place}{'' if place.is_dir() else ' (not there yet)'}")
    debian = parts.debian_prometheus()
    print(f"Debian's Prometheus: {debian.prometheus if debian else 'not installed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
