"""A real Kubernetes control plane on a loopback address of its own, without a container."""

import base64
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from tests.testbed import flags
from tests.testbed.api import Api, ApiRefused, tls_context
from tests.testbed.authority import KeyPair
from tests.testbed.credentials import Credentials
from tests.testbed.loopback import free_address, without_proxies
from tests.testbed.parts import ControlPlaneBinaries
from tests.testbed.process import Process, ProcessFailed

_START_LIMIT_S = 90.0
_KUBECTL_LIMIT_S = 60.0
# Nothing is lost that anybody would look for: the data folder goes too.
_END_GRACE_S = 3.0


class KubectlFailed(Exception):  # noqa: N818 - named for what happened
    pass


class ControlPlane:
    def __init__(
        self,
        binaries: ControlPlaneBinaries,
        *,
        hpa_sync_period: str = "15s",
        apiserver_args: Sequence[str] = (),
        controller_manager_args: Sequence[str] = (),
    ) -> None:
        self._binaries = binaries
        self._hpa_sync_period = hpa_sync_period
        self._apiserver_args = tuple(apiserver_args)
        self._controller_manager_args = tuple(controller_manager_args)
        self._leaving = ExitStack()
        self.address = free_address(*flags.PORTS)
        self.url = f"https://{self.address}:{flags.API}"

    def __enter__(self) -> Self:
        with ExitStack() as entering:
            scratch = entering.enter_context(TemporaryDirectory(prefix="testbed-control-plane-"))
            self.home = Path(scratch)
            self.credentials = Credentials(self.home / "pki", self.address, self.url)
            self.kubeconfig = self.credentials.kubeconfig("testbed-admin", ["system:masters"])
            admin = self.credentials.client("testbed-admin", ["system:masters"])
            self.api = Api(self.url, self.cluster_ca, admin)
            processes = self._processes()
            self.etcd, self.apiserver, self.controller_manager, self.scheduler = processes
            for process in processes:
                entering.callback(process.stop, grace_s=_END_GRACE_S)
            self._start_all()
            self._leaving = entering.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leaving.close()

    @property
    def cluster_ca(self) -> Path:
        return self.credentials.cluster_ca.certificate

    @property
    def front_proxy_ca(self) -> Path:
        """The bundle that the `extension-apiserver-authentication` ConfigMap publishes."""
        return self.credentials.front_proxy_bundle

    @property
    def front_proxy_client(self) -> KeyPair:
        """What the aggregator shows to a backend: for tests that play the aggregator."""
        return self.credentials.front_proxy_client

    def rotate_front_proxy_ca(self, *, keep_old: bool = True) -> None:
        """The API server follows within seconds, both in the ConfigMap and as a client."""
        self.credentials.rotate_front_proxy(keep_old=keep_old)

    def kubeconfig_for(
        self,
        *,
        user: str | None = None,
        groups: Sequence[str] = (),
        service_account: str | None = None,
    ) -> Path:
        """Of a user with groups (a certificate), or of `namespace/name` (a token for a day)."""
        if (user is None) == (service_account is None):
            raise ValueError("name either user or service_account")
        if user is not None:
            return self.credentials.kubeconfig(user, groups)
        name = str(service_account)
        return self.credentials.kubeconfig_with_token(name, self.token(name))

    def token(self, service_account: str, *, lifetime_s: int = 86_400) -> str:
        namespace, name = service_account.split("/")
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        asked = {"spec": {"expirationSeconds": lifetime_s}}
        answer = self.api.post(path, asked)
        return str(answer["status"]["token"])

    @property
    def kubectl_binary(self) -> Path:
        return self._binaries.kubernetes.kubectl

    def kubectl(self, *args: str, stdin: str | None = None, kubeconfig: Path | None = None) -> str:
        """What it printed; raises KubectlFailed with its complaint."""
        done = subprocess.run(
            [
                *(self.kubectl_binary, f"--kubeconfig={kubeconfig or self.kubeconfig}"),
                *(f"--cache-dir={self.home / 'kubectl-cache'}", *args),
            ],
            input=stdin or "",
            capture_output=True,
            text=True,
            env=without_proxies(),
            timeout=_KUBECTL_LIMIT_S,
            check=False,
        )
        if done.returncode != 0:
            raise KubectlFailed(f"kubectl {' '.join(args)}: {done.stderr.strip() or done.stdout}")
        return done.stdout

    def apply(self, manifest: str) -> str:
        """Server-side, as the shipped manifests are applied."""
        return self.kubectl("apply", "--server-side", "-f", "-", stdin=manifest)

    def create_namespace(self, name: str) -> None:
        """Returns when pods can be made in it: without its default account they are refused."""
        self.api.post("/api/v1/namespaces", {"metadata": {"name": name}})
        self._await_default_account(name)

    def apiservice_backend(
        self, group_version: str, *, service: str, host: str, port: int, ca_bundle: bytes
    ) -> None:
        """Routes `group/version` to a backend on loopback; `service` is `namespace/name`.

        Its serving certificate must name `name.namespace.svc`: the aggregator verifies that.
        """
        namespace, name = service.split("/")
        group, version = group_version.split("/")
        self.route_service(service, host=host, port=port)
        backend = {"namespace": namespace, "name": name, "port": port}
        spec = {
            "group": group,
            "version": version,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": backend,
            "caBundle": base64.b64encode(ca_bundle).decode(),
        }
        metadata = {"name": f"{version}.{group}"}
        kind = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService"}
        self.apply(json.dumps({**kind, "metadata": metadata, "spec": spec}))

    def route_service(self, service: str, *, host: str, port: int) -> None:
        """An ExternalName may well be an address, and so any loopback address can be reached.

        The aggregator takes the port from the APIService, not from here.
        """
        namespace, name = service.split("/")
        spec = {"type": "ExternalName", "externalName": host, "ports": [{"port": port}]}
        metadata = {"namespace": namespace, "name": name}
        kind = {"apiVersion": "v1", "kind": "Service"}
        self.apply(json.dumps({**kind, "metadata": metadata, "spec": spec}))

    def await_apiservice(self, group_version: str) -> None:
        group, version = group_version.split("/")
        self.kubectl(
            *("wait", "--for=condition=Available", "--timeout=45s"),
            f"apiservice/{version}.{group}",
        )

    def stop_apiserver(self, *, crash: bool = False) -> None:
        if crash:
            self.apiserver.kill()
        else:
            # Left to itself it waits a minute for its watchers, and they hold on.
            self.apiserver.stop(grace_s=_END_GRACE_S)

    def start_apiserver(self) -> None:
        self.apiserver.start(deadline_s=_START_LIMIT_S)

    def _start_all(self) -> None:
        self.etcd.start(deadline_s=_START_LIMIT_S)
        self.apiserver.start(deadline_s=_START_LIMIT_S)
        controllers = (self.controller_manager, self.scheduler)
        with ThreadPoolExecutor(len(controllers)) as pool:
            starts = [pool.submit(one.start, deadline_s=_START_LIMIT_S) for one in controllers]
        for start in starts:
            start.result()
        self._await_default_account("default")

    def _await_default_account(self, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        eventually(lambda: self._exists(path), f"the default account of {namespace}")

    def _exists(self, path: str) -> bool:
        try:
            self.api.get(path)
        except ApiRefused as refused:
            if refused.status == 404:
                return False
            raise
        return True

    def _processes(self) -> tuple[Process, Process, Process, Process]:
        kubernetes, at, pki = self._binaries.kubernetes, self.address, self.credentials
        etcd = flags.etcd(at, self.home / "etcd")
        server = [*flags.apiserver(at, pki), *self._apiserver_args]
        controllers = [
            *flags.controller_manager(at, pki, self._hpa_sync_period),
            *self._controller_manager_args,
        ]
        scheduler = flags.scheduler(at, pki)
        secure = f"https://{at}"
        return (
            self._process("etcd", self._binaries.etcd, etcd, f"http://{at}:{flags.ETCD}/health"),
            self._process("kube-apiserver", kubernetes.apiserver, server, f"{self.url}/readyz"),
            self._process(
                "kube-controller-manager",
                kubernetes.controller_manager,
                controllers,
                f"{secure}:{flags.CONTROLLERS}/healthz",
            ),
            self._process(
                "kube-scheduler",
                kubernetes.scheduler,
                scheduler,
                f"{secure}:{flags.SCHEDULER}/readyz",
            ),
        )

    def _process(self, name: str, binary: Path, words: Sequence[str], ready: str) -> Process:
        return Process(
            name,
            [binary, *words],
            ready_url=ready,
            ready_tls=tls_context(self.cluster_ca),
            log=self.home / f"{name}.log",
            env=without_proxies(),
            cwd=self.home,
        )


def eventually(check: Callable[[], object], what: str, *, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not check():
        if time.monotonic() > deadline:
            raise ProcessFailed(f"{what}: not there after {within_s:g} s")
        time.sleep(0.1)
