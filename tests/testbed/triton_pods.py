"""Pods that are real Tritons."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.testbed.api import Object
from tests.testbed.parts import TritonInstall
from tests.testbed.pod_worker import PodProcess
from tests.testbed.triton_server import TritonServer, triton_address

MODELS = "testbed.triton-autoscaler/models"
"""Pod annotation: which of the model repositories its Triton serves."""


class TritonPods:
    """To a Kubelet: what its pods become. `servers` are those alive, by (namespace, pod)."""

    def __init__(
        self,
        install: TritonInstall,
        repositories: Mapping[str, Path],
        *,
        default: str | None = None,
        extra_args: Sequence[str] = (),
    ) -> None:
        self._install = install
        self._repositories = dict(repositories)
        self._default = default
        self._extra_args = tuple(extra_args)
        self.servers: dict[tuple[str, str], TritonServer] = {}

    @contextmanager
    def __call__(self, pod: Object) -> Generator[PodProcess, None, None]:
        metadata = pod["metadata"]
        server = TritonServer(
            self._install,
            self._repository(metadata.get("annotations", {})),
            address=triton_address(),
            extra_args=self._extra_args,
            await_ready=False,
        )
        key = metadata["namespace"], metadata["name"]
        with server:
            self.servers[key] = server
            try:
                yield _TritonPod(server)
            finally:
                self.servers.pop(key, None)

    def _repository(self, annotations: Mapping[str, str]) -> Path:
        name = annotations.get(MODELS, self._default)
        if name not in self._repositories:
            known = ", ".join(sorted(self._repositories))
            raise ValueError(f"annotation {MODELS}: {name} is none of {known}")
        return self._repositories[name]


class _TritonPod:
    def __init__(self, server: TritonServer) -> None:
        self._server = server
        self.address = server.address

    def running(self) -> bool:
        return self._server.process.running

    def ready(self) -> bool:
        return self._server.process.ready()

    def relaunch(self) -> None:
        self._server.kill()
        self._server.process.launch()

    def stop(self, grace_s: float) -> None:
        self._server.process.stop(grace_s=grace_s)
