"""Straight to the daemon, past the API server: as the aggregator would ask, or a stranger."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
from datetime import datetime
from typing import Any

from tests.stories.hpa_world import ACCOUNT, PORTS, SERVICE, HpaWorld

HPA_USER = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
_API_SERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.custom.metrics.k8s.io"
_NAME = f"{SERVICE}.{ACCOUNT}.svc"


class Direct:
    """Verifies the daemon's certificate; shows that of the front proxy, or none."""

    def __init__(self, world: HpaWorld, *, as_proxy: bool = True) -> None:
        bundle = base64.b64decode(world.plane.api.get(_API_SERVICE)["spec"]["caBundle"])
        self._tls = ssl.create_default_context(cadata=bundle.decode())
        if as_proxy:
            proxy = world.plane.front_proxy_client
            self._tls.load_cert_chain(proxy.certificate, proxy.key)
        self._place = world.address, PORTS[0]

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        """The status and the document, on a connection of its own; `X_Remote_User="joe"`."""
        with (
            socket.create_connection(self._place, timeout=15) as plain,
            self._tls.wrap_socket(plain, server_hostname=_NAME) as secure,
        ):
            asking = http.client.HTTPConnection(_NAME)
            asking.sock = secure
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            asking.request("GET", path, headers=sent)
            answer = asking.getresponse()
            body = answer.read()
            is_json = answer.getheader("Content-Type") == "application/json"
            return answer.status, json.loads(body) if is_json else body.decode()

    def get_for(self, user: str, group: str, path: str) -> tuple[int, Any]:
        """As the aggregator vouches for a user."""
        return self.get(path, X_Remote_User=user, X_Remote_Group=group)


def sampled_at(document: Any) -> float:
    """When the oldest of its values was measured, in Unix time."""
    return min(datetime.fromisoformat(item["timestamp"]).timestamp() for item in document["items"])
