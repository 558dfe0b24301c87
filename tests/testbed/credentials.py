"""The control plane's authorities and the credentials that they sign."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from tests.testbed.authority import Authority, KeyPair, write_key, write_whole

FRONT_PROXY_USER = "front-proxy-client"
_SERVICE_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
# The first address of --service-cluster-ip-range: in-cluster clients would find the server there.
SERVICE_RANGE, _SERVICE_ADDRESS = "10.96.0.0/16", "10.96.0.1"


class Credentials:
    def __init__(self, folder: Path, address: str, url: str) -> None:
        self._folder = folder
        self._url = url
        self.cluster_ca = Authority(folder / "cluster", "testbed-cluster-ca")
        self.serving = self.cluster_ca.serving(
            "serving", address, "127.0.0.1", _SERVICE_ADDRESS, *_SERVICE_NAMES
        )
        self.service_account_key = folder / "service-account.key"
        write_key(self.service_account_key, ec.generate_private_key(ec.SECP256R1()))
        self._front_proxies = 0
        self.front_proxy_bundle = folder / "front-proxy-ca.crt"
        self.front_proxy_ca = self._new_front_proxy_ca()
        write_whole(self.front_proxy_bundle, self.front_proxy_ca.pem)
        self.front_proxy_client = KeyPair(
            folder / "front-proxy-client.crt", folder / "front-proxy-client.key"
        )
        self._install_front_proxy_client()

    def client(self, user: str, groups: Sequence[str] = ()) -> KeyPair:
        return self.cluster_ca.client(_file_name(user, *groups), user, groups)

    def kubeconfig(self, user: str, groups: Sequence[str] = ()) -> Path:
        pair = self.client(user, groups)
        login = {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}
        return self._write_kubeconfig(_file_name(user, *groups), user, login)

    def kubeconfig_with_token(self, name: str, token: str) -> Path:
        return self._write_kubeconfig(_file_name(name), name, {"token": token})

    def rotate_front_proxy(self, *, keep_old: bool) -> None:
        old = self.front_proxy_ca
        self.front_proxy_ca = self._new_front_proxy_ca()
        bundle = old.pem + self.front_proxy_ca.pem if keep_old else self.front_proxy_ca.pem
        write_whole(self.front_proxy_bundle, bundle)
        self._install_front_proxy_client()

    def _new_front_proxy_ca(self) -> Authority:
        self._front_proxies += 1
        name = f"front-proxy-{self._front_proxies}"
        return Authority(self._folder / name, f"testbed-{name}-ca")

    def _install_front_proxy_client(self) -> None:
        signed = self.front_proxy_ca.client("client", FRONT_PROXY_USER)
        write_whole(self.front_proxy_client.key, signed.key.read_bytes(), mode=0o600)
        write_whole(self.front_proxy_client.certificate, signed.certificate.read_bytes())

    def _write_kubeconfig(self, file: str, user: str, login: Mapping[str, Any]) -> Path:
        authority = str(self.cluster_ca.certificate)
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "testbed",
                    "cluster": {"server": self._url, "certificate-authority": authority},
                }
            ],
            "users": [{"name": user, "user": login}],
            "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": user}}],
            "current-context": "testbed",
        }
        path = self._folder / f"{file}.kubeconfig"
        # JSON is YAML.
        write_whole(path, json.dumps(config, indent=1).encode(), mode=0o600)
        return path


def _file_name(*words: str) -> str:
    return "+".join(re.sub(r"[^\w.-]", "_", word) for word in words)
