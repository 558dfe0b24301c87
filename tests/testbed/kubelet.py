"""A small kubelet: pods bound to its node become real processes on addresses of their own."""

import http.client
import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from tests.testbed.api import STRATEGIC_MERGE, Api, ApiRefused, Object
from tests.testbed.control_plane import ControlPlane, eventually
from tests.testbed.kwok import GPU, OWN_KUBELET
from tests.testbed.pod_status import now
from tests.testbed.pod_worker import PodWorker, RunPod

_HEARTBEAT_S = 5.0
_LEASE_S = 40
# A watch is asked for anew so often; the kubelet's end waits for the last one.
_WATCH_S = 2
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_AWAY = (OSError, http.client.HTTPException, ApiRefused, json.JSONDecodeError)


class Kubelet:
    """`reserved` keeps the node from pods that do not ask for it by `placement`."""

    def __init__(
        self,
        control_plane: ControlPlane,
        run_pod: RunPod,
        *,
        node: str = "real",
        gpus: int = 8,
        resources: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        reserved: bool = True,
    ) -> None:
        self._api: Api = control_plane.api
        self._run_pod = run_pod
        self._capacity = {"cpu": "64", "memory": "512Gi", "pods": "110", GPU: str(gpus)}
        self._capacity |= dict(resources or {})
        self._labels = {"kubernetes.io/hostname": node, OWN_KUBELET: node, **(labels or {})}
        self._reserved = reserved
        self._ending = threading.Event()
        self._workers: dict[str, PodWorker] = {}
        self._path = f"/api/v1/nodes/{node}"
        self.node = node

    @property
    def placement(self) -> dict[str, Any]:
        """To merge into a pod's spec."""
        toleration = {"key": OWN_KUBELET, "operator": "Exists"}
        return {"nodeSelector": {OWN_KUBELET: self.node}, "tolerations": [toleration]}

    def __enter__(self) -> Self:
        self._register()
        self._threads = [
            threading.Thread(target=loop, name=f"{self.node}-{loop.__name__}", daemon=True)
            for loop in (self._heartbeats, self._watches)
        ]
        for thread in self._threads:
            thread.start()
        eventually(self._schedulable, f"node {self.node}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()
        for worker in self._workers.values():
            worker.abandon()
        for worker in self._workers.values():
            worker.join()
        # What is bound to a node that is gone would stay Ready until the controllers notice.
        for path in [*self._pod_paths(), f"{_LEASES}/{self.node}", self._path]:
            with suppress(*_AWAY):
                self._api.delete(path, {"gracePeriodSeconds": 0})

    def _register(self) -> None:
        taints = [{"key": OWN_KUBELET, "value": self.node, "effect": "NoSchedule"}]
        node = {
            "metadata": {"name": self.node, "labels": self._labels},
            "spec": {"taints": taints if self._reserved else []},
            "status": {"capacity": self._capacity, "allocatable": self._capacity},
        }
        made = self._api.post("/api/v1/nodes", node)
        owner = {"apiVersion": "v1", "kind": "Node", "name": self.node}
        owner["uid"] = made["metadata"]["uid"]
        lease = {
            "metadata": {"name": self.node, "ownerReferences": [owner]},
            "spec": {"holderIdentity": self.node, "leaseDurationSeconds": _LEASE_S},
        }
        self._api.post(_LEASES, lease)
        self._beat()

    def _beat(self) -> None:
        # The time of the lease has microseconds, unlike every other one.
        renewed = {"spec": {"renewTime": now().replace("Z", ".000000Z")}}
        self._api.patch(f"{_LEASES}/{self.node}", renewed)
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        condition = {**ready, "lastHeartbeatTime": now(), "message": "a kubelet of the test bed"}
        status = {"status": {"conditions": [condition]}}
        self._api.patch(f"{self._path}/status", status, STRATEGIC_MERGE)

    def _schedulable(self) -> bool:
        """The controllers take the taint of a node that was not ready away."""
        taints = self._api.get(self._path)["spec"].get("taints", [])
        return all(taint["key"] == OWN_KUBELET for taint in taints)

    def _heartbeats(self) -> None:
        while not self._ending.wait(_HEARTBEAT_S):
            with suppress(*_AWAY):
                self._beat()

    def _watches(self) -> None:
        while not self._ending.is_set():
            try:
                self._watch_once()
            except _AWAY:
                self._ending.wait(0.5)

    def _watch_once(self) -> None:
        mine = {"fieldSelector": f"spec.nodeName={self.node}"}
        listed = self._api.get("/api/v1/pods", **mine)
        here = {pod["metadata"]["uid"]: pod for pod in listed["items"]}
        for uid in self._workers.keys() - here.keys():
            self._workers[uid].abandon()
        for pod in here.values():
            self._see(pod)
        since = listed["metadata"]["resourceVersion"]
        events = self._api.watch("/api/v1/pods", limit_s=_WATCH_S, resourceVersion=since, **mine)
        for event, pod in events:
            if self._ending.is_set():
                return
            if event == "DELETED":
                if worker := self._workers.get(pod["metadata"]["uid"]):
                    worker.abandon()
            else:
                self._see(pod)

    def _see(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self._workers:
            self._workers[uid].see(pod)
        else:
            self._workers[uid] = PodWorker(self._api, pod, self._run_pod)
            self._workers[uid].start()

    def _pod_paths(self) -> list[str]:
        with suppress(*_AWAY):
            pods = self._api.get("/api/v1/pods", fieldSelector=f"spec.nodeName={self.node}")
            return [
                f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
                for pod in pods["items"]
            ]
        return []
