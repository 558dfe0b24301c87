"""From a decision to the writes it calls for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.act.actions import plan, withheld
from autoscaler.act.executor import DryRun, Recording, describe
from autoscaler.model import Action, Decision, Mode, Observation, Policy, Replicas
from tests.unit.decide.fleets import POLICY

SCALING = replace(POLICY, mode="scale")
SEEN = Observation("default/flower", 0.0, Replicas(2, 2, resource_version="41"))


def decided(current: int | None, desired: int | None) -> Decision:
    return Decision(
        policy="default/flower",
        target=POLICY.target,
        at=0.0,
        mode="scale",
        current=current,
        ready=current,
        desired=desired,
        binding="demand",
        hold=None,
        sentence="Scale up 2 → 3: demand.",
        flip="",
    )


def test_a_wish_for_more_becomes_one_scale_with_the_version_it_was_decided_from() -> None:
    (action,) = plan(SCALING, decided(2, 3), SEEN)
    assert (action.before, action.after, action.resource_version) == (2, 3, "41")
    assert describe(action) == "scale Deployment default/flower 2 → 3"


@pytest.mark.parametrize(("current", "desired"), [(2, 2), (None, None), (2, None)])
def test_no_wish_no_write(current: int | None, desired: int | None) -> None:
    assert plan(SCALING, decided(current, desired), SEEN) == ()


@pytest.mark.parametrize("mode", ["observe", "recommend"])
def test_only_mode_scale_writes(mode: Mode) -> None:
    assert plan(replace(POLICY, mode=mode), decided(2, 3), SEEN) == ()


def test_paused_writes_nothing() -> None:
    assert plan(replace(SCALING, paused=True), decided(2, 3), SEEN) == ()


def test_what_a_mode_asks_for_and_does_not_get_is_said_once_for_all() -> None:
    many: list[Policy] = [replace(SCALING, name=f"p{n}") for n in range(5)]
    (said,) = withheld([POLICY, *many], unwritten="--dry-run writes nothing")
    assert "default/p0, default/p1, default/p2 and 2 more" in said
    assert "but --dry-run writes nothing" in said
    assert withheld(many) == (), "where it is written nothing is withheld"


async def test_a_dry_run_says_a_wish_once_and_a_new_one_again() -> None:
    said: list[str] = []
    executor = DryRun(said.append)
    wish = Action("scale", POLICY.target, 2, 3, "because", "default/flower")
    for after in (3, 3, 4, 3):
        await executor.execute(replace(wish, after=after))
    assert said == [
        "dry run: would scale Deployment default/flower 2 → 3",
        "dry run: would scale Deployment default/flower 2 → 4",
        "dry run: would scale Deployment default/flower 2 → 3",
    ]


async def test_a_recording_keeps_what_it_was_asked() -> None:
    executor = Recording()
    wish = Action("scale", POLICY.target, 2, 3, "because", "default/flower")
    await executor.execute(wish)
    assert executor.actions == [wish]
