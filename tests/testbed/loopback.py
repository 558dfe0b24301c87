"""Loopback addresses and requests that never leave this machine."""

import functools
import os
import random
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass

_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")


def free_address(*ports: int) -> str:
    """An address of one's own in 127.16.0.0/12 on which `ports` are free.

    A port of its own could be taken by another process between the look and the bind; of a
    million addresses nobody else picks this one.
    """
    for _ in range(100):
        host = random.getrandbits(20)
        address = f"127.{16 + (host >> 16)}.{host >> 8 & 255}.{host & 255 or 1}"
        if all(_is_free(address, port) for port in ports):
            return address
    raise RuntimeError(f"no address in 127.16.0.0/12 has ports {ports} free")


def free_port() -> int:
    """A port that is free on every address, for a program that cannot be bound to one.

    Below the range that the kernel gives to outgoing connections (32768 and up).
    """
    for _ in range(100):
        port = random.randrange(20_000, 32_000)
        if _is_free("0.0.0.0", port):
            return port
    raise RuntimeError("no port between 20000 and 32000 is free on all addresses")


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def without_proxies() -> dict[str, str]:
    """The environment for a child that talks to 127.x.y.z: gRPC and curl would ask the proxy."""
    return {
        name: value for name, value in os.environ.items() if name.lower() not in _PROXY_VARIABLES
    }


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


@functools.lru_cache(maxsize=32)
def _opener(tls: ssl.SSLContext | None) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if tls is not None:
        handlers.append(urllib.request.HTTPSHandler(context=tls))
    return urllib.request.build_opener(*handlers)


def ask(
    url: str,
    *,
    data: bytes | None = None,
    timeout_s: float = 5.0,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """GET, or POST where there is `data`. Raises OSError where nobody answers."""
    opener = _opener(tls)
    try:
        with opener.open(urllib.request.Request(url, data=data), timeout=timeout_s) as response:
            return Answer(response.status, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read())
