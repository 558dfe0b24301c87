"""What a kubelet says of a pod, as JSON for its `status`."""

import datetime
from dataclasses import dataclass
from typing import Literal

from tests.testbed.api import Object


@dataclass(frozen=True)
class Seen:
    """`state` is of its containers; two that are equal need no second report."""

    state: Literal["waiting", "running", "terminated"]
    ready: bool = False
    restarts: int = 0
    address: str = ""
    reason: str = ""
    message: str = ""


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def says_ready(pod: Object) -> bool:
    return _condition(pod, "Ready").get("status") == "True"


def status_of(pod: Object, seen: Seen, started_at: str) -> Object:
    """For a strategic merge: the scheduler's PodScheduled condition stays."""
    status: Object = {
        "phase": "Pending" if seen.state == "waiting" else "Running",
        "hostIP": "127.0.0.1",
        "startTime": pod.get("status", {}).get("startTime") or started_at,
        "conditions": [
            _renewed(pod, "Initialized", True),
            _renewed(pod, "ContainersReady", seen.ready),
            _renewed(pod, "Ready", seen.ready),
        ],
        "containerStatuses": [
            _container(container, seen, started_at) for container in pod["spec"]["containers"]
        ],
    }
    if seen.address:
        status |= {"podIP": seen.address, "podIPs": [{"ip": seen.address}]}
    return status


def _container(container: Object, seen: Seen, started_at: str) -> Object:
    detail: Object = {"reason": seen.reason, "message": seen.message}
    if seen.state == "running":
        detail = {"startedAt": started_at}
    if seen.state == "terminated":
        detail |= {"exitCode": 137, "finishedAt": now()}
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": seen.ready,
        "started": seen.state == "running",
        "restartCount": seen.restarts,
        "state": {seen.state: detail},
    }


def _renewed(pod: Object, kind: str, true: bool) -> Object:
    """The time of the last transition moves with the status only."""
    before = _condition(pod, kind)
    status = "True" if true else "False"
    moved = now() if before.get("status") != status else before.get("lastTransitionTime")
    return {"type": kind, "status": status, "lastTransitionTime": moved}


def _condition(pod: Object, kind: str) -> Object:
    conditions: list[Object] = pod.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == kind), {})
