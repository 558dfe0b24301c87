"""Tokens and permissions: asked once, remembered for ten seconds, refused in words."""

from __future__ import annotations

import asyncio

import pytest

from autoscaler.serve.access import reviews
from autoscaler.serve.access.remembered import Remembered, Unavailable
from tests.unit.access.doorway import HPA, REMOTE, Doorway, PacedClock, client_of, known_token
from tests.unit.kube.scripted import eventually


async def test_a_token_is_reviewed_once_in_ten_seconds(door: Doorway) -> None:
    for _ in range(3):
        assert (await door.ask(token="good"))[0] == 200
    assert door.tokens.asked == [{"token": "good"}]
    door.clock.move(10)
    door.tokens.answer = lambda _: {"authenticated": False}
    status, text = await door.ask(token="good")
    assert status == 401
    assert "does not accept the bearer token" in text
    assert len(door.tokens.asked) == 2


async def test_a_bad_token_is_remembered_too(door: Doorway) -> None:
    for _ in range(3):
        assert (await door.ask(token="bad"))[0] == 401
    assert len(door.tokens.asked) == 1


async def test_no_credentials_are_kept_in_memory(door: Doorway) -> None:
    await door.ask(token="good")
    assert all(len(key) == 32 for key in door.access.gate._reviews._tokens._known)


async def test_what_is_denied_is_denied_for_ten_seconds(door: Doorway) -> None:
    proxy = client_of(door.authorities.front)
    door.reviews.answer = lambda _: {"allowed": False, "reason": "no RBAC rule"}
    for _ in range(3):
        status, text = await door.ask(proxy, REMOTE)
        assert status == 403
    assert text == (
        f'pods.custom.metrics.k8s.io "*" is forbidden: User "{HPA}" cannot get resource '
        '"pods/queue_us" in API group "custom.metrics.k8s.io" in the namespace "default": '
        "no RBAC rule"
    )
    assert len(door.reviews.asked) == 1
    door.reviews.answer = lambda _: {"allowed": True}
    door.clock.move(9)
    assert (await door.ask(proxy, REMOTE))[0] == 403
    door.clock.move(1)
    assert (await door.ask(proxy, REMOTE))[0] == 200


async def test_an_explicit_denial_wins(door: Doorway) -> None:
    door.reviews.answer = lambda _: {"allowed": True, "denied": True}
    assert (await door.ask(client_of(door.authorities.front), REMOTE))[0] == 403


async def test_one_users_permission_is_not_anothers(door: Doorway) -> None:
    door.reviews.answer = lambda spec: {"allowed": spec["user"] == HPA}
    proxy = client_of(door.authorities.front)
    assert (await door.ask(proxy, REMOTE))[0] == 200
    assert (await door.ask(proxy, {"X-Remote-User": "mallory"}))[0] == 403
    groups = {**REMOTE, "X-Remote-Group": "other"}
    assert (await door.ask(proxy, groups))[0] == 200
    assert len(door.reviews.asked) == 3


async def test_a_hundred_requests_at_once_are_one_review(door: Doorway) -> None:
    door.reviews.gate.clear()
    async with door.session(client_of(door.authorities.front)) as session:
        asking = [asyncio.create_task(door.ask_on(session, REMOTE)) for _ in range(100)]
        await eventually(lambda: door.reviews.asked)
        door.reviews.gate.set()
        answers = await asyncio.gather(*asking)
    assert {status for status, _ in answers} == {200}
    assert len(door.reviews.asked) == 1


async def test_api_server_away_known_answers_hold_until_they_expire(door: Doorway) -> None:
    proxy = client_of(door.authorities.front)
    assert (await door.ask(proxy, REMOTE))[0] == 200
    door.api.away = True
    door.api.drop()
    door.clock.move(9)
    assert (await door.ask(proxy, REMOTE))[0] == 200
    door.clock.move(1)
    status, text = await door.ask(proxy, REMOTE)
    assert status == 503
    assert text.startswith(f"cannot tell whether {HPA} may do this: no SubjectAccessReview: ")
    status, text = await door.ask(token="good")
    assert status == 503
    assert "cannot tell whose token this is" in text
    door.api.away = False
    door.clock.move(1)  # a failure is remembered for a second
    assert (await door.ask(proxy, REMOTE))[0] == 200


async def test_a_slow_api_server_costs_one_deadline_not_one_each(
    door: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviews, "DEADLINE", 0.05)
    door.tokens.gate.clear()
    status, text = await door.ask(token="good")
    assert status == 503
    assert "no TokenReview" in text
    assert "within 50ms" in text
    assert (await door.ask(token="good"))[0] == 503
    assert len(door.tokens.asked) == 1
    door.tokens.gate.set()


async def test_a_missing_role_of_ours_is_named(door: Doorway) -> None:
    door.tokens.refusal = (403, "tokenreviews is forbidden")
    status, text = await door.ask(token="good")
    assert status == 503
    assert "bind ClusterRole system:auth-delegator to our service account" in text


async def test_an_answer_without_a_status_is_no_permission(door: Doorway) -> None:
    door.reviews.answer = lambda _: None  # type: ignore[return-value,arg-type]
    assert (await door.ask(client_of(door.authorities.front), REMOTE))[0] == 503
    door.tokens.answer = lambda _: {"authenticated": True, "user": {}}
    assert (await door.ask(token="good"))[0] == 401


async def test_other_schemes_and_empty_tokens_are_no_tokens(door: Doorway) -> None:
    for value in ("Basic amFuZTp4", "Bearer ", "good", ""):
        assert (await door.ask(None, {"Authorization": value}))[0] == 401
    assert door.tokens.asked == []
    assert known_token({"token": "good"})["authenticated"]


async def test_memory_is_bounded_whatever_is_asked() -> None:
    clock = PacedClock()
    remembered: Remembered[int, int] = Remembered(clock, 10.0, 100)

    async def answer() -> int:
        return 1

    for number in range(1000):
        await remembered.get(number, answer)
    assert len(remembered) == 100


async def test_the_first_to_ask_hangs_up_and_the_others_get_the_answer() -> None:
    remembered: Remembered[int, str] = Remembered(PacedClock(), 10.0, 100)
    answered = asyncio.Event()

    async def ask() -> str:
        await answered.wait()
        return "yes"

    first, second = (asyncio.create_task(remembered.get(1, ask)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    answered.set()
    assert await second == "yes"


async def test_a_failure_nobody_waits_for_is_no_warning() -> None:
    remembered: Remembered[int, int] = Remembered(PacedClock(), 10.0, 100)
    began = asyncio.Event()

    async def fail() -> int:
        began.set()
        await asyncio.sleep(0)
        raise Unavailable("away")

    asking = asyncio.create_task(remembered.get(1, fail))
    await began.wait()
    asking.cancel()
    await asyncio.sleep(0.01)
    with pytest.raises(Unavailable, match="away"):
        await remembered.get(1, fail)
