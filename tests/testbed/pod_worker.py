"""One pod's life on the test bed's kubelet: launched, probed, restarted, ended with grace."""

import http.client
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from tests.testbed.api import STRATEGIC_MERGE, Api, ApiRefused, Object
from tests.testbed.pod_status import Seen, now, says_ready, status_of

_POLL_S = 0.25
_BACKOFF_S = 1.0


class PodProcess(Protocol):
    """What a pod becomes. Entering launches it without waiting; leaving ends it, if need be."""

    @property
    def address(self) -> str: ...
    def running(self) -> bool: ...
    def ready(self) -> bool: ...
    def relaunch(self) -> None: ...
    def stop(self, grace_s: float) -> None: ...


RunPod = Callable[[Object], AbstractContextManager[PodProcess]]
"""From a pod object; raises ValueError, with the reason, for a pod that it cannot run."""


class PodWorker(threading.Thread):
    def __init__(self, api: Api, pod: Object, run_pod: RunPod) -> None:
        metadata = pod["metadata"]
        super().__init__(name=f"pod-{metadata['name']}", daemon=True)
        self._api = api
        self._pod = pod
        self._run_pod = run_pod
        self._path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        self._uid = metadata["uid"]
        self._started_at = now()
        self._reported: Seen | None = None
        self._abandoned = False
        self._ending = threading.Event()
        if "deletionTimestamp" in metadata:
            self._ending.set()

    def see(self, pod: Object) -> None:
        """The pod as the API has it now."""
        self._pod = pod
        if "deletionTimestamp" in pod["metadata"]:
            self._ending.set()

    def abandon(self) -> None:
        """The object is gone, or the kubelet goes: no grace, no reports."""
        self._abandoned = True
        self._ending.set()

    def run(self) -> None:
        try:
            with self._run_pod(self._pod) as process:
                self._accompany(process)
                if not self._abandoned:
                    process.stop(self._grace_s())
        except ValueError as error:
            refusal = Seen("waiting", reason="CreateContainerError", message=str(error))
            while not self._ending.is_set():
                self._report(refusal)
                self._ending.wait(_POLL_S)
        while not self._abandoned and not self._remove():
            self._ending.wait(_POLL_S)

    def _accompany(self, process: PodProcess) -> None:
        restarts = 0
        while not self._ending.is_set():
            if process.running():
                ready = process.ready()
                self._report(Seen("running", ready, restarts, process.address))
            else:
                why = "Error"
                self._report(Seen("terminated", False, restarts, process.address, why))
                self._ending.wait(_BACKOFF_S)
                if not self._ending.is_set():
                    restarts += 1
                    self._started_at = now()
                    process.relaunch()
            self._ending.wait(_POLL_S)

    def _report(self, seen: Seen) -> None:
        # The node controller calls pods unready once it has missed the node: say it again then.
        if seen == self._reported and says_ready(self._pod) == seen.ready:
            return
        status = {"status": status_of(self._pod, seen, self._started_at)}
        try:
            self._pod = self._api.patch(f"{self._path}/status", status, STRATEGIC_MERGE)
        except (OSError, http.client.HTTPException, ApiRefused):
            self._reported = None
        else:
            self._reported = seen

    def _grace_s(self) -> float:
        grace: float = self._pod["metadata"].get("deletionGracePeriodSeconds", 30)
        return grace

    def _remove(self) -> bool:
        """A pod of the same name may be another one already."""
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._uid}}
        try:
            self._api.delete(self._path, options)
        except ApiRefused as refused:
            return refused.status in {404, 409}
        except (OSError, http.client.HTTPException):
            return False
        return True
