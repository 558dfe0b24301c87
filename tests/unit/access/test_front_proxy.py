"""Who comes through the aggregator, and who only says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
import trustme
from multidict import CIMultiDict, CIMultiDictProxy

from autoscaler.serve.access.front_proxy import NOBODY, Trust, parse, remote_user
from tests.unit.access.doorway import (
    CONFIG_MAPS,
    FULL_REMOTE,
    HPA,
    QUEUE,
    REMOTE,
    Doorway,
    client_of,
    config_map,
    user_in,
)
from tests.unit.kube.scripted import eventually


async def test_the_aggregator_vouches_for_a_user(door: Doorway) -> None:
    status, text = await door.ask(client_of(door.authorities.front), FULL_REMOTE)
    assert status == 200
    assert user_in(text) == {
        "name": HPA,
        "uid": "0b1e",
        "groups": [
            "system:serviceaccounts",
            "system:serviceaccounts:kube-system",
            "system:authenticated",
        ],
        "extra": [["authentication.kubernetes.io/credential-id", ["JTI=1"]]],
    }
    asked = door.reviews.asked[0]
    assert asked["user"] == HPA
    assert asked["groups"] == user_in(text)["groups"]
    assert asked["extra"] == {"authentication.kubernetes.io/credential-id": ["JTI=1"]}
    assert asked["resourceAttributes"] == {
        "group": QUEUE.group,
        "version": "v1beta2",
        "resource": "pods",
        "subresource": "queue_us",
        "name": "*",
        "namespace": "default",
        "verb": "get",
    }


async def test_a_forged_user_without_a_certificate_is_nobody(door: Doorway) -> None:
    forged = {**REMOTE, "X-Remote-Group": "system:masters"}
    status, text = await door.ask(None, forged)
    assert status == 401
    assert "show a bearer token" in text
    assert door.reviews.asked == []


async def test_a_forged_user_beside_a_good_token_is_the_tokens_user(door: Doorway) -> None:
    forged = {**REMOTE, "X-Remote-Group": "system:masters"}
    status, text = await door.ask(None, forged, token="good")
    assert status == 200
    assert user_in(text)["name"] == "jane"
    assert user_in(text)["groups"] == ["sre", "system:authenticated"]


async def test_a_forged_user_with_a_cluster_users_certificate_is_that_user(door: Doorway) -> None:
    """An ordinary cluster user may even be called front-proxy-client: another authority."""
    for name in ("mallory", "front-proxy-client"):
        status, text = await door.ask(client_of(door.authorities.cluster, name), FULL_REMOTE)
        assert status == 200
        assert user_in(text)["name"] == name
        assert "system:masters" not in user_in(text)["groups"]


async def test_a_cluster_users_groups_are_its_organizations(door: Doorway) -> None:
    jane = client_of(door.authorities.cluster, "jane", organization_name="sre")
    _, text = await door.ask(jane)
    assert user_in(text)["groups"] == ["sre", "system:authenticated"]


async def test_a_certificate_of_another_authority_does_not_get_in(door: Doorway) -> None:
    with pytest.raises(aiohttp.ClientError):
        await door.ask(client_of(door.authorities.stranger), FULL_REMOTE)
    await eventually(lambda: door.said)
    assert door.said[0].startswith("a client certificate was refused: ")
    assert door.access.refused >= 1
    # … and takes nobody else with it.
    assert (await door.ask(client_of(door.authorities.front), REMOTE))[0] == 200
    assert (await door.ask())[0] == 401


async def test_a_common_name_that_is_not_allowed(door: Doorway) -> None:
    status, text = await door.ask(client_of(door.authorities.front, "metrics-scraper"), REMOTE)
    assert status == 401
    assert "'metrics-scraper' is not one of requestheader-allowed-names" in text


async def test_an_empty_list_of_names_allows_any(door: Doorway) -> None:
    authorities = door.authorities
    for names in ("[]", ""):
        changed = config_map([authorities.front], authorities.cluster)
        changed["data"]["requestheader-allowed-names"] = names
        door.api.put(CONFIG_MAPS, changed)
        await eventually(lambda: not door.access.trust.now.allowed_names)
        assert (await door.ask(client_of(authorities.front, "anybody"), REMOTE))[0] == 200


async def test_an_expired_certificate_is_refused_in_words(door: Doorway) -> None:
    ended = datetime.now(UTC) - timedelta(days=1)
    expired = client_of(
        door.authorities.front, not_before=ended - timedelta(days=1), not_after=ended
    )
    status, text = await door.ask(expired, REMOTE)
    assert status == 401
    assert "expired" in text


async def test_a_certificate_that_expires_while_the_connection_lives(door: Doorway) -> None:
    soon = client_of(door.authorities.front, not_after=datetime.now(UTC) + timedelta(hours=1))
    async with door.session(soon) as session:
        assert (await door.ask_on(session, REMOTE))[0] == 200
        door.clock.move(3601)
        assert (await door.ask_on(session, REMOTE))[0] == 401


async def test_the_proxy_without_a_user_is_nobody(door: Doorway) -> None:
    status, text = await door.ask(client_of(door.authorities.front))
    assert status == 401
    assert "names no user in X-Remote-User" in text


async def test_a_rotated_authority_counts_without_a_restart(door: Doorway) -> None:
    authorities = door.authorities
    renewed = trustme.CA()
    with pytest.raises(aiohttp.ClientError):
        await door.ask(client_of(renewed), REMOTE)
    door.api.put(CONFIG_MAPS, config_map([authorities.front, renewed], authorities.cluster))
    await eventually(lambda: len(door.access.trust.now.front_proxy) == 2)
    assert (await door.ask(client_of(renewed), REMOTE))[0] == 200
    assert (await door.ask(client_of(authorities.front), REMOTE))[0] == 200


async def test_a_withdrawn_authority_counts_no_more_even_on_an_open_connection(
    door: Doorway,
) -> None:
    authorities, renewed = door.authorities, trustme.CA()
    async with door.session(client_of(authorities.front)) as session:
        assert (await door.ask_on(session, REMOTE))[0] == 200
        door.api.put(CONFIG_MAPS, config_map([renewed], authorities.cluster))
        newest = renewed.cert_pem.bytes().decode()
        await eventually(lambda: newest in door.access.trust.now.pem)
        status, text = await door.ask_on(session, REMOTE)
        assert status == 401
        assert "not trusted any more" in text
        with pytest.raises(aiohttp.ClientError):
            await door.ask_on(session, REMOTE)  # a new connection: the old one was closed
    assert (await door.ask(client_of(renewed), REMOTE))[0] == 200


async def test_without_the_config_map_only_tokens_are_known(door: Doorway) -> None:
    door.api.delete(CONFIG_MAPS, "extension-apiserver-authentication")
    await eventually(lambda: door.access.trust.now == NOBODY)
    with pytest.raises(aiohttp.ClientError):
        await door.ask(client_of(door.authorities.front), REMOTE)
    assert (await door.ask(token="good"))[0] == 200
    assert "there is no ConfigMap" in door.access.problems[0]


async def test_a_broken_config_map_leaves_the_last_good_one_in_force(door: Doorway) -> None:
    authorities = door.authorities
    broken = config_map([authorities.front], authorities.cluster)
    broken["data"]["requestheader-client-ca-file"] = "-----BEGIN CERTIFICATE-----\nnonsense"
    door.api.put(CONFIG_MAPS, broken)
    await eventually(lambda: door.access.problems)
    assert "requestheader-client-ca-file: no certificate in it" in door.access.problems[0]
    assert (await door.ask(client_of(authorities.front), REMOTE))[0] == 200


async def test_the_config_map_that_we_may_not_read_says_which_role_to_bind(door: Doorway) -> None:
    await eventually(lambda: door.api.watching(CONFIG_MAPS))
    door.api.refusals["list", "configmaps"] = (403, "configmaps is forbidden")
    door.api.refusals["watch", "configmaps"] = (403, "configmaps is forbidden")
    door.api.drop()
    await eventually(lambda: door.access.trust.cache.status == 403)
    assert "extension-apiserver-authentication-reader" in door.access.problems[0]


async def test_discovery_needs_a_known_user_and_no_review(door: Doorway) -> None:
    door.attributes = None
    assert (await door.ask(client_of(door.authorities.front), REMOTE))[0] == 200
    assert (await door.ask())[0] == 401
    assert door.reviews.asked == []


async def test_masters_need_no_review(door: Doorway) -> None:
    headers = {"X-Remote-User": "system:kube-aggregator", "X-Remote-Group": "system:masters"}
    assert (await door.ask(client_of(door.authorities.front), headers))[0] == 200
    assert door.reviews.asked == []


@pytest.mark.parametrize("value", ['"front-proxy-client"', "[1]", "{", "{}"])
def test_a_list_that_is_none_is_named(value: str) -> None:
    with pytest.raises(ValueError, match="requestheader-allowed-names: not"):
        parse({"requestheader-allowed-names": value})


def test_headers_are_read_as_the_config_map_names_them() -> None:
    trust = Trust(username_headers=("X-First", "X-Second"), group_headers=("X-G",))
    headers = CIMultiDictProxy(CIMultiDict([("x-second", "u"), ("x-g", "a"), ("X-G", "b")]))
    user = remote_user(headers, trust)
    assert user is not None
    assert (user.name, user.uid, user.extra) == ("u", "", ())
    assert user.groups == ("a", "b", "system:authenticated")
    assert remote_user(headers, NOBODY) is None
