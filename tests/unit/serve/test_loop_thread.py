"""An event loop beside the tick's: it goes on while the other stands still, and ends in order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from autoscaler.serve.loop_thread import LoopThread
from tests.unit.kube.scripted import eventually


@pytest.fixture
def heard() -> list[BaseException]:
    return []


@pytest.fixture
async def beside(heard: list[BaseException]) -> AsyncIterator[LoopThread]:
    thread = LoopThread("beside", heard.append)
    thread.start()
    yield thread
    await thread.close()
    assert not thread.alive


async def test_it_runs_while_the_caller_stands_still(beside: LoopThread) -> None:
    done = threading.Event()
    beside.soon(done.set)
    assert done.wait(10)  # blocks this loop
    assert await beside.run(asyncio.sleep(0, "there")) == "there"


async def test_calls_come_in_their_order(beside: LoopThread) -> None:
    seen: list[int] = []
    for number in range(100):
        beside.soon(seen.append, number)
    await beside.run(asyncio.sleep(0))
    assert seen == list(range(100))


async def test_an_error_is_the_callers_or_is_heard_of(
    beside: LoopThread, heard: list[BaseException]
) -> None:
    async def fails() -> None:
        raise ValueError("asked for")

    with pytest.raises(ValueError, match="asked for"):
        await beside.run(fails())
    assert heard == []
    beside.soon(lambda: 1 / 0)
    await eventually(lambda: heard)
    assert isinstance(heard[0], ZeroDivisionError)
    assert beside.alive


async def test_a_cancelled_wait_cancels_what_is_waited_for(beside: LoopThread) -> None:
    over = threading.Event()

    async def long() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            over.set()

    waiting = asyncio.create_task(beside.run(long()))
    await beside.run(asyncio.sleep(0))
    waiting.cancel()
    assert await asyncio.to_thread(over.wait, 10)


async def test_its_end_takes_along_what_is_left() -> None:
    thread, over = LoopThread("beside", print), threading.Event()
    thread.start()

    async def forever() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            over.set()

    thread.soon(lambda: asyncio.ensure_future(forever()))
    await thread.run(asyncio.sleep(0))
    await thread.close()
    assert over.is_set()
    thread.soon(over.clear)  # nobody is there any more
    with pytest.raises(RuntimeError, match="does not run"):
        await thread.run(asyncio.sleep(0))
    assert over.is_set()
