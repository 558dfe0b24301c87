"""A real tritonserver on a loopback address of its own, with its usual ports."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from tests.testbed.loopback import ask, free_address, without_proxies
from tests.testbed.models import ToyModel, model_repository
from tests.testbed.parts import TritonInstall
from tests.testbed.process import Process

__all__ = ["ToyModel", "TritonRefused", "TritonServer", "model_repository", "triton_address"]

_HTTP, _GRPC, _METRICS = 8000, 8001, 8002
_START_LIMIT_S = 60.0
_LOAD_LIMIT_S = 60.0
_EXIT_LIMIT_S = 10
_SHARED_MEMORY = Path("/dev/shm")


class TritonRefused(Exception):  # noqa: N818 - named for what happened
    pass


def triton_address() -> str:
    return free_address(_HTTP, _GRPC, _METRICS)


class TritonServer:
    """Models are under explicit control: every model of the repository is loaded at the start."""

    def __init__(
        self,
        install: TritonInstall,
        models: Path,
        *,
        address: str,
        extra_args: Sequence[str] = (),
        await_ready: bool = True,
    ) -> None:
        self._install = install
        self._models = models
        self._extra_args = tuple(extra_args)
        self._await_ready = await_ready
        self._leaving = ExitStack()
        self._shm_prefix = f"testbed-{address}-"
        self.address = address
        self.http_url = f"http://{address}:{_HTTP}"
        self.grpc = f"{address}:{_GRPC}"
        self.metrics_target = f"{address}:{_METRICS}"
        self.metrics_url = f"http://{self.metrics_target}/metrics"

    def __enter__(self) -> Self:
        with ExitStack() as entering:
            home = Path(entering.enter_context(TemporaryDirectory(prefix="testbed-triton-")))
            self.process = self._new_process(home)
            entering.callback(self._clear_shared_memory)
            if self._await_ready:
                self.start()
            else:
                self.process.launch()
            # Python models take Triton 2 to 4 s to unload in good order, which nobody watches here.
            entering.callback(self.process.stop, grace_s=0.5)
            self._leaving = entering.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leaving.close()

    def start(self) -> None:
        self.process.start(deadline_s=_START_LIMIT_S)

    def stop(self) -> None:
        self.process.stop(grace_s=_EXIT_LIMIT_S + 5.0)

    def kill(self) -> None:
        self.process.kill()
        self._clear_shared_memory()

    def restart(self) -> None:
        """The same address with every counter back at zero."""
        self.stop()
        self.start()

    def load_model(self, name: str) -> None:
        self._repository(name, "load")

    def unload_model(self, name: str) -> None:
        """Returns when Triton has taken the order: requests under way still finish."""
        self._repository(name, "unload")

    def metrics(self) -> str:
        return ask(self.metrics_url).body.decode()

    def _repository(self, name: str, verb: str) -> None:
        url = f"{self.http_url}/v2/repository/models/{name}/{verb}"
        answer = ask(url, data=b"{}", timeout_s=_LOAD_LIMIT_S)
        if answer.status != 200:
            raise TritonRefused(f"{verb} {name}: {answer.body.decode(errors='replace')}")

    def _new_process(self, home: Path) -> Process:
        argv: list[str | Path] = [
            self._install.server,
            f"--model-repository={self._models}",
            f"--backend-directory={self._install.backends}",
            f"--backend-config=python,shm-region-prefix-name={self._shm_prefix}",
            "--model-control-mode=explicit",
            "--load-model=*",
            f"--http-address={self.address}",
            f"--grpc-address={self.address}",
            f"--metrics-address={self.address}",
            f"--exit-timeout-secs={_EXIT_LIMIT_S}",
            *self._extra_args,
        ]
        return Process(
            f"Triton at {self.address}",
            argv,
            ready_url=f"{self.http_url}/v2/health/ready",
            log=home / "triton.log",
            env={**without_proxies(), **self._install.environment()},
            cwd=home,
        )

    def _clear_shared_memory(self) -> None:
        # A killed server leaves its regions behind, and /dev/shm is small in a container.
        for region in _SHARED_MEMORY.glob(f"{self._shm_prefix}*"):
            region.unlink(missing_ok=True)
