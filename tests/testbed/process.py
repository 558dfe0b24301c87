"""A server process: started until it is ready, ended by its own pid, its log at hand."""

import http.client
import signal
import ssl
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.testbed.loopback import ask

_POLL_S = 0.05
_TAIL_LINES = 40


class ProcessFailed(Exception):  # noqa: N818 - named for what happened
    pass


class Process:
    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        ready_url: str,
        ready_tls: ssl.SSLContext | None = None,
        log: Path,
        env: Mapping[str, str],
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.argv = [str(word) for word in argv]
        self.ready_url = ready_url
        self._ready_tls = ready_tls
        self.log = log
        self._env = dict(env)
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ProcessFailed(f"{self.name} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        process = self._process
        return process is not None and process.poll() is None

    def start(self, *, deadline_s: float) -> None:
        self.launch()
        process = self._process
        assert process is not None
        try:
            self._await_ready(process, time.monotonic() + deadline_s, deadline_s)
        except BaseException:
            self.kill()
            raise

    def launch(self) -> None:
        """Returns at once, for one who watches for himself whether it is running and ready."""
        if self._process is not None:
            raise ProcessFailed(f"{self.name} is running already")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                # Ctrl-C is for the test bed, which ends its processes in order and by their pids.
                process_group=0,
            )

    def ready(self) -> bool:
        """Whether it answers 200 within a second, as a kubelet's probe asks."""
        try:
            return ask(self.ready_url, timeout_s=1.0, tls=self._ready_tls).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def _await_ready(
        self, process: subprocess.Popen[bytes], deadline: float, deadline_s: float
    ) -> None:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise ProcessFailed(
                    f"{self.name} ended with status {process.returncode} before it was ready; "
                    f"its log ends:\n{self.log_tail()}"
                )
            if self.ready():
                return
            time.sleep(_POLL_S)
        raise ProcessFailed(
            f"{self.name} did not answer 200 at {self.ready_url} within {deadline_s:g} s; "
            f"its log ends:\n{self.log_tail()}"
        )

    def stop(self, *, grace_s: float = 15.0) -> None:
        """SIGTERM, then SIGKILL for one that outlives its grace. Does nothing to a stopped one."""
        process = self._process
        if process is None:
            return
        # A paused process would sit on SIGTERM for the whole of its grace.
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()
        else:
            self._process = None

    def kill(self) -> None:
        """A crash: SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Connections are still accepted by the kernel, and never answered: a hang."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise ProcessFailed(f"{self.name} is not running")
        self._process.send_signal(number)

    def log_tail(self, lines: int = _TAIL_LINES) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
