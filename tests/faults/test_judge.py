"""A referee who never whistles proves nothing: daemons with one safeguard taken out are caught."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.decide import contest, survivors
from autoscaler.kube.lease import Elector
from autoscaler.run.state import Remembered
from autoscaler.run.state_configmap import ConfigMapStates
from tests.faults import servers
from tests.faults.catalogue import FAULTS
from tests.faults.judge import Verdict
from tests.faults.runs import run


def struck(name: str, *moments: str) -> list[Verdict]:
    """In four worlds: what goes wrong in one may by chance do no harm in another."""
    fault = next(fault for fault in FAULTS if fault.name == name)
    return [run(fault, moments, seed) for seed in range(4)]


def test_scale_in_under_load_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survivors, "check", lambda *_: None)
    verdicts = struck("GPU budget shrinks", "replicas on their way", "grown", "before it shrinks")
    assert any("the load needs" in said for verdict in verdicts for said in verdict.unsafe)


def test_scale_in_on_nan_that_was_taken_for_0_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "NAN", 0.0)
    verdicts = struck("Prometheus answers NaN", "grown", "before it shrinks")
    assert any("cannot be trusted" in said for verdict in verdicts for said in verdict.unsafe)


def test_a_cooldown_that_is_forgotten_at_a_failover_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load = ConfigMapStates.load

    async def forgetful(states: ConfigMapStates) -> dict[str, Remembered]:
        kept = await load(states)
        return {
            key: replace(one, state=replace(one.state, scaled_at=None, scale_downs=(), order=None))
            for key, one in kept.items()
        }

    monkeypatch.setattr(ConfigMapStates, "load", forgetful)
    verdicts = struck("leader killed, clocks up to 2 h apart", "shrinking, in the cooldown")
    assert any("the cooldown is 60 s" in said for one in verdicts for said in one.lost_cooldowns)


def test_a_leader_that_is_cut_off_and_goes_on_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Elector, "_kept", lambda elector: 1.0 if elector._sent else 0.0)
    verdicts = struck("leader cut off", "grown")
    assert any("might" in said for verdict in verdicts for said in verdict.two_writers)


def test_a_policy_that_yields_for_ever_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contest, "_over", lambda *_: {})
    verdicts = struck("scaled by a person (whenContested: yield)", "grown", "before it shrinks")
    assert any(" would do" in said or "needed" in said for v in verdicts for said in v.deadlocks)
