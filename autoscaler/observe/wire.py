"""Connections to Prometheus that can be cut off when their time is up.

A timeout of `requests` bounds the silence between two bytes, not the answer: a server that drips
a byte a second holds a thread for ever. Only shutting the socket down from outside ends that.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.retry import Retry


class Wire:
    """A `requests.Session` for one thread. `cut` may be called from any other."""

    def __init__(self, verify: bool | str) -> None:
        # One thread has one request under way; a redirect or a proxy may add a socket.
        self._sockets: deque[socket.socket] = deque(maxlen=4)
        self.session = requests.Session()
        self.session.verify = verify
        self._adapter = _Adapter(self._sockets)
        for prefix in ("http://", "https://"):
            self.session.mount(prefix, self._adapter)

    def watch(self, url: str) -> None:
        """PrometheusConnect mounts an adapter of its own on its URL; ours takes its place."""
        self.session.mount(url, self._adapter)

    def cut(self) -> None:
        for sock in tuple(self._sockets):
            # Of the base class: SSLSocket's would first tear down the TLS state in use.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        self.session.close()


class _Adapter(HTTPAdapter):
    def __init__(self, sockets: deque[socket.socket]) -> None:
        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                if self.sock is not None:
                    sockets.append(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                if self.sock is not None:
                    sockets.append(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self._pools = {"http": PlainPool, "https": SecurePool}
        # Retries of the library back off past any deadline; ours are in `query_api`.
        super().__init__(max_retries=Retry(total=0, redirect=False, raise_on_status=False))

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager
