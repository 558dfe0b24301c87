"""Pods by the thousand, put where the API server keeps them: two requests each would be minutes."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tests.testbed import flags
from tests.testbed.api import Object
from tests.testbed.control_plane import ControlPlane
from tests.testbed.loopback import ask

_AT_ONCE = 100  # etcd takes 128 in a transaction


def deployed(plane: ControlPlane, deployment: Object, size: int) -> list[str]:
    """The Deployment and so many Running, Ready pods of its ReplicaSet; their names.

    For a control plane without the controllers that would make, mend or remove any of them.
    """
    deployment["spec"]["replicas"] = size
    plane.apply(json.dumps(deployment))
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    names = [f"flower-5cf8b78894-{n:05d}" for n in range(size)]
    template = deployment["spec"]["template"]
    for first in range(0, size, _AT_ONCE):
        _put(plane, [_pod(name, template, now) for name in names[first : first + _AT_ONCE]])
    return names


def _pod(name: str, template: Object, now: str) -> Object:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "flower-5cf8b78894"}
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": now}
        for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": str(uuid.uuid4()),
            "creationTimestamp": now,
            "labels": {**template["metadata"]["labels"], "pod-template-hash": "5cf8b78894"},
            "ownerReferences": [{**owner, "uid": str(uuid.UUID(int=1)), "controller": True}],
        },
        "spec": {**template["spec"], "nodeName": "gpu-0", "restartPolicy": "Always"},
        "status": {"phase": "Running", "conditions": conditions, "startTime": now},
    }


def _put(plane: ControlPlane, pods: Sequence[Object]) -> None:
    """It stores protobuf, and reads JSON as well."""
    writes = [
        {
            "requestPut": {
                "key": _b64(f"/registry/pods/default/{pod['metadata']['name']}"),
                "value": _b64(json.dumps(pod)),
            }
        }
        for pod in pods
    ]
    url = f"http://{plane.address}:{flags.ETCD}/v3/kv/txn"
    answer = ask(url, data=json.dumps({"success": writes}).encode(), timeout_s=30)
    found: dict[str, Any] = json.loads(answer.body)
    assert found.get("succeeded"), found


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
