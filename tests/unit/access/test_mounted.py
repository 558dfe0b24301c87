"""A mounted certificate: renewed on disk it is served to new connections."""

from __future__ import annotations

import asyncio
import socket
import ssl
import warnings
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from autoscaler.serve.access.assembly import SelfSigned, parse_self_signed
from autoscaler.serve.access.serving import MountedCertificate
from autoscaler.serve.access.tls import ServingTls, TlsError
from tests.unit.access.doorway import Doorway
from tests.unit.kube.scripted import eventually


async def serial(door: Doorway) -> str:
    context = ssl.create_default_context()
    door.authorities.serving.configure_trust(context)
    _, writer = await asyncio.open_connection("localhost", door.port, ssl=context)
    found = writer.get_extra_info("peercert")["serialNumber"]
    writer.close()
    await writer.wait_closed()
    return str(found)


async def test_a_renewed_certificate_is_served_to_new_connections(door: Doorway) -> None:
    first = await serial(door)
    assert await serial(door) == first
    async with door.session() as session:
        assert (await door.ask_on(session, token="good"))[0] == 200
        door.install(door.authorities.serving.issue_cert("localhost"))
        now = door.access.tls.context.current
        await eventually(lambda: door.access.tls.context.current is not now)
        assert await serial(door) != first
        assert (await door.ask_on(session, token="good"))[0] == 200, "open ones go on"


async def test_half_a_renewal_keeps_the_old_one_and_says_so(door: Doorway) -> None:
    first = await serial(door)
    fresh = door.authorities.serving.issue_cert("localhost")
    (door.folder / "tls.crt").write_bytes(fresh.cert_chain_pems[0].bytes())
    await eventually(lambda: door.access.problems)
    assert "key values mismatch" in door.access.problems[0].lower().replace("_", " ")
    assert await serial(door) == first
    (door.folder / "tls.key").write_bytes(fresh.private_key_pem.bytes())
    await eventually(lambda: not door.access.problems)
    assert await serial(door) != first


async def test_files_that_are_gone_are_named(door: Doorway) -> None:
    (door.folder / "tls.key").unlink()
    await eventually(lambda: door.access.problems)
    assert str(door.folder / "tls.key") in door.access.problems[0]
    assert "No such file" in door.access.problems[0]


async def test_a_certificate_about_to_expire_is_a_problem(door: Doorway) -> None:
    end = datetime.now(UTC) + timedelta(days=2)
    door.install(door.authorities.serving.issue_cert("localhost", not_after=end))
    said = "expires in 2.0 days: renew it"
    await eventually(lambda: any(said in problem for problem in door.access.problems))


async def test_a_first_certificate_that_comes_late_is_served_then(door: Doorway) -> None:
    tls = ServingTls()
    late = MountedCertificate(door.folder / "late.crt", door.folder / "late.key", tls, door.clock)
    await late.refresh()
    assert "No such file" in (late.problem or "")
    leaf = door.authorities.serving.issue_cert("localhost")
    (door.folder / "late.crt").write_bytes(leaf.cert_chain_pems[0].bytes())
    (door.folder / "late.key").write_bytes(leaf.private_key_pem.bytes())
    await late.refresh()
    assert late.problem is None


async def test_plain_http_and_noise_are_counted_and_harm_nobody(door: Doorway) -> None:
    reader, writer = await asyncio.open_connection("localhost", door.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await reader.read()
    writer.close()
    await eventually(lambda: door.access.refused == 1)
    assert "TLS handshake failed" in door.said[0]
    assert (await door.ask(token="good"))[0] == 200


async def test_the_same_refusal_is_said_once_a_minute(door: Doorway) -> None:
    async def noise() -> None:
        before = door.access.refused
        with socket.create_connection(("localhost", door.port)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            await eventually(lambda: door.access.refused > before)

    for _ in range(3):
        await noise()
    assert len(door.said) == 1
    door.clock.move(60)
    await noise()
    assert len(door.said) == 2


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_no_session_can_be_resumed(door: Doorway, version: ssl.TLSVersion) -> None:
    """A resumed one would bring back a client certificate that was verified long ago."""
    context = ssl.create_default_context()
    context.maximum_version = version
    door.authorities.serving.configure_trust(context)
    reader, writer = await asyncio.open_connection("localhost", door.port, ssl=context)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert await reader.read()
    assert not writer.get_extra_info("ssl_object").session.has_ticket
    writer.close()
    await writer.wait_closed()


async def test_old_tls_is_refused(door: Doorway) -> None:
    context = ssl.create_default_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"https://localhost:{door.port}/", ssl=context)


def test_unusable_authorities_are_refused_and_the_ones_before_stay() -> None:
    tls = ServingTls()
    before = tls.context.current
    with pytest.raises(TlsError, match="authorities of client certificates"):
        tls.use_authorities("nonsense")
    with pytest.raises(TlsError, match="serving certificate and key"):
        tls.use_certificate(b"nonsense", b"")
    assert tls.context.current is before


def test_how_a_self_signed_service_is_written() -> None:
    assert parse_self_signed("scaler.ops") == SelfSigned("scaler", "ops")
    assert parse_self_signed("scaler.ops:cert").secret == "cert"
    for wrong in ("scaler", "scaler.", ".ops", "scaler.ops.svc", ""):
        with pytest.raises(ValueError, match=r"write SERVICE\.NAMESPACE"):
            parse_self_signed(wrong)
