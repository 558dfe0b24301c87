"""Who may write: said on the command line, else not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from autoscaler.act.executor import DryRun, Executor, Refused
from autoscaler.act.live import LiveExecutor
from autoscaler.cli.write_options import write_settings
from autoscaler.kube.lease import Elector
from autoscaler.run.leadership import Alone
from autoscaler.run.state import FileStates, MemoryStates
from autoscaler.run.state_configmap import ConfigMapStates
from autoscaler.run.writing import Place, WriteSettings, Writing, writing
from tests.unit.decide.fleets import POLICY
from tests.unit.run.world import SCALING, JumpyClock, Log

LAPTOP = WriteSettings(dry_run=False, daemon=True)
IN_CLUSTER = replace(LAPTOP, in_cluster=True)


class Client:
    host = "https://kubernetes"
    namespace = "triton-autoscaler"


def decided(settings: WriteSettings, *policies: Any, client: Any = Client, **more: Any) -> Writing:
    client = client() if client else None
    return writing(settings, policies or (SCALING,), client, JumpyClock(), Log(), **more)


@pytest.mark.parametrize(
    ("settings", "executor", "elects"),
    [
        (WriteSettings(), DryRun, False),  # unless said otherwise nothing is written
        (LAPTOP, Refused, False),
        (replace(LAPTOP, elect=False), LiveExecutor, False),
        (replace(LAPTOP, elect=True), LiveExecutor, True),
        (IN_CLUSTER, LiveExecutor, True),
        (replace(IN_CLUSTER, elect=False), LiveExecutor, False),
        (replace(IN_CLUSTER, dry_run=True), DryRun, False),
        (replace(IN_CLUSTER, dry_run=True, elect=True), DryRun, False),
        (replace(IN_CLUSTER, server_dry_run=True), LiveExecutor, False),
        (replace(IN_CLUSTER, daemon=False), Refused, False),
        (replace(IN_CLUSTER, daemon=False, elect=False), LiveExecutor, False),
    ],
)
def test_who_writes(settings: WriteSettings, executor: type[Executor], elects: bool) -> None:
    found = decided(settings)
    assert type(found.executor) is executor
    assert isinstance(found.leadership, Elector if elects else Alone)
    assert found.executor.writes == (found.unwritten is None)


def test_from_a_laptop_it_says_what_to_type() -> None:
    said = decided(LAPTOP).unwritten
    assert said is not None
    assert "two daemons must not write" in said
    assert "--leader-elect" in said
    assert "--no-leader-elect" in said


def test_a_policy_that_is_edited_into_mode_scale_does_not_make_two_writers_of_two_replicas() -> (
    None
):
    """They started without an election: the one who edits must restart them with one."""
    found = decided(IN_CLUSTER, POLICY)
    assert isinstance(found.executor, Refused)
    assert "Restart it" in found.executor.reason


def test_without_kubernetes_there_is_nothing_to_write_to() -> None:
    found = decided(replace(LAPTOP, elect=True), client=None)
    assert (type(found.executor), found.unwritten) == (
        DryRun,
        "there is no Kubernetes to write to",
    )


def test_recorded_time_is_never_written_to_nor_remembered() -> None:
    found = decided(replace(IN_CLUSTER, elect=True, state=Path("state.json")), replay=True)
    assert isinstance(found.executor, DryRun)
    assert isinstance(found.leadership, Alone)
    assert isinstance(found.states, MemoryStates)


@pytest.mark.parametrize(
    ("settings", "states"),
    [
        (replace(LAPTOP, elect=False), MemoryStates),
        (replace(LAPTOP, state=Path("state.json")), FileStates),
        (replace(LAPTOP, elect=True), ConfigMapStates),  # a failover forgets no cooldown
        (IN_CLUSTER, ConfigMapStates),
        (replace(LAPTOP, elect=False, state=Place("other", "ns")), ConfigMapStates),
    ],
)
def test_where_the_state_is_kept(settings: WriteSettings, states: type[object]) -> None:
    assert isinstance(decided(settings).states, states)


def test_a_file_that_a_failover_would_not_find_is_warned_of() -> None:
    log = Log()
    settings = replace(LAPTOP, elect=True, state=Path("state.json"))
    writing(settings, (SCALING,), Client(), JumpyClock(), log)  # type: ignore[arg-type]
    assert any("a failover forgets cooldowns" in said for said in log.events("warning"))


# --- the command line ---------------------------------------------------------------------------


def given(**changes: Any) -> dict[str, Any]:
    nothing = {"dry_run": False, "server_dry_run": False, "leader_elect": None}
    return nothing | {"lease": None, "state": None} | changes


@pytest.mark.parametrize(
    ("state", "place"),
    [
        (None, None),
        ("state.json", Path("state.json")),
        ("./configmap", Path("configmap")),
        ("configmap", Place("triton-autoscaler-state")),
        ("configmap:mine", Place("mine")),
        ("configmap:ns/mine", Place("mine", "ns")),
    ],
)
def test_the_state_is_a_file_or_a_configmap(state: str | None, place: object) -> None:
    assert write_settings(given(state=state), daemon=True).state == place


def test_the_lease_may_be_elsewhere() -> None:
    assert write_settings(given(lease="ns/mine"), daemon=True).lease == Place("mine", "ns")


@pytest.mark.parametrize(
    ("changes", "daemon", "says"),
    [
        ({"dry_run": True, "server_dry_run": True}, True, "give one"),
        ({"leader_elect": True}, False, "a single look wins no election"),
        ({"dry_run": True, "state": "configmap"}, True, "give --state FILE"),
        ({"server_dry_run": True, "state": "configmap"}, True, "give --state FILE"),
        ({"lease": "a/b/c"}, True, "write NAMESPACE/NAME"),
        ({"lease": "/b"}, True, "write NAMESPACE/NAME"),
        ({"state": "configmap:ns/"}, True, "write NAMESPACE/NAME"),
    ],
)
def test_what_contradicts_itself_is_refused_in_words(
    changes: dict[str, Any], daemon: bool, says: str
) -> None:
    with pytest.raises(click.UsageError, match=says):
        write_settings(given(**changes), daemon=daemon)
