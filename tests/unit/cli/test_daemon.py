"""The program as a process: signals, a full disk, policies edited into nonsense, taken ports."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.fleet import POLICY, Program, Triton, get, triton


@pytest.fixture
def fleet() -> Iterator[Triton]:
    with triton() as running:
        yield running


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "flower.yaml").write_text(POLICY)
    return folder


def daemon(folder: Path, policies: Path, fleet: Triton, *more: object) -> Program:
    given = ["run", "-f", policies, "--scrape", fleet.endpoint, "--no-kubernetes"]
    given += ["--interval", "100ms", "--log-format", "json", "--listen", "127.0.0.1:0"]
    return Program(folder, *given, *more)


def port(program: Program) -> int:
    found = None

    def listening() -> object:
        nonlocal found
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", program.said())
        return found

    program.until(listening)
    assert found is not None
    return int(found[1])


def events(program: Program) -> list[dict[str, object]]:
    lines = program.said().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_it_runs_serves_and_stops_with_0(tmp_path: Path, policies: Path, fleet: Triton) -> None:
    journal, state = tmp_path / "journal", tmp_path / "state.json"
    with daemon(tmp_path, policies, fleet, "--journal", journal, "--state", state) as program:
        at = port(program)
        program.until(lambda: "Scale up 1 →" in program.said())
        program.until(lambda: get(at, "/readyz")[0] == 200)
        assert get(at, "/livez")[0] == 200
        assert 'desired_replicas{namespace="default",policy="flower"' in get(at, "/metrics")[1]
        assert json.loads(get(at, "/v1/decisions")[1])["decisions"][0]["policy"] == "default/flower"
        assert "default/flower" in get(at, "/")[1]
        assert program.stopped(signal.SIGTERM) == 0
    assert all(json.loads(line)["decision"] for line in journal.read_text().splitlines())
    assert "default/flower" in json.loads(state.read_text())["policies"]
    assert events(program)[-1]["event"] == "stopped"


def test_wpa_187_dry_run_metrics_are_there_again_after_a_restart(
    tmp_path: Path, policies: Path, fleet: Triton
) -> None:
    for _ in range(2):
        with daemon(tmp_path, policies, fleet, "--state", tmp_path / "state.json") as program:
            at = port(program)
            program.until(lambda: "desired_replicas{" in get(at, "/metrics")[1])  # noqa: B023
            assert "triton_autoscaler_dry_run 1.0" in get(at, "/metrics")[1]
            assert program.stopped(signal.SIGTERM) == 0


def test_sigterm_in_mid_tick_abandons_it_and_exits_0(
    tmp_path: Path, policies: Path, fleet: Triton
) -> None:
    fleet.gate.clear()
    with daemon(tmp_path, policies, fleet, "--interval", "60s") as program:
        program.until(lambda: fleet.asked)  # it hangs in its read now
        assert program.stopped(signal.SIGTERM) == 0
    assert events(program)[-1]["ticks"] == 0


def test_ctrl_c_is_an_orderly_stop(tmp_path: Path, policies: Path, fleet: Triton) -> None:
    with daemon(tmp_path, policies, fleet) as program:
        port(program)
        assert program.stopped(signal.SIGINT) == 0


def test_a_policy_edited_into_nonsense_keeps_the_last_good_set(
    tmp_path: Path, policies: Path, fleet: Triton
) -> None:
    file = policies / "flower.yaml"
    with daemon(tmp_path, policies, fleet) as program:
        at = port(program)
        program.until(lambda: get(at, "/readyz")[0] == 200)
        file.write_text(POLICY.replace("replicas:", "replicsa:"))
        program.until(lambda: "reload_successful 0.0" in get(at, "/metrics")[1])
        assert 'desired_replicas{namespace="default",policy="flower"' in get(at, "/metrics")[1]
        assert "replicsa" in get(at, "/")[1]
        file.write_text(POLICY.replace("name: flower}\nspec", "name: rose}\nspec"))
        program.until(lambda: 'policy="rose"' in get(at, "/metrics")[1])
        assert 'policy="flower"' not in get(at, "/metrics")[1]
        assert "replicsa" not in get(at, "/")[1]
    complaints = [e for e in events(program) if "the last good set stays" in str(e["event"])]
    assert len(complaints) == 1, "said once, not on every tick"


def test_sighup_reads_the_policies_and_opens_the_journal_again(
    tmp_path: Path, policies: Path, fleet: Triton
) -> None:
    journal = tmp_path / "journal"
    with daemon(tmp_path, policies, fleet, "--journal", journal) as program:
        program.until(lambda: journal.exists() and journal.stat().st_size)
        journal.rename(tmp_path / "moved")
        program.process.send_signal(signal.SIGHUP)
        program.until(lambda: journal.exists() and journal.stat().st_size)
        program.until(lambda: "policies read" in program.said())
        assert program.stopped(signal.SIGTERM) == 0


def test_a_journal_on_a_full_disk_is_said_once_and_stops_nothing(
    tmp_path: Path, policies: Path, fleet: Triton
) -> None:
    with daemon(tmp_path, policies, fleet, "--journal", "/dev/full") as program:
        at = port(program)
        program.until(lambda: int(get(at, "/livez")[1].split()[0]) > 5)
        assert "No space left on device" in get(at, "/")[1]
        assert program.stopped(signal.SIGTERM) == 0
    said = [e for e in events(program) if "No space left" in str(e["event"])]
    assert len(said) == 1


def test_a_broken_state_file_holds_loudly_until_it_is_moved_away(
    tmp_path: Path, policies: Path, fleet: Triton
) -> None:
    state = tmp_path / "state.json"
    state.write_text('{"version": 2}')
    with daemon(tmp_path, policies, fleet, "--state", state) as program:
        at = port(program)
        program.until(lambda: "written by a newer" in get(at, "/readyz")[1])
        assert get(at, "/livez")[0] == 200
        state.rename(tmp_path / "state.json.bad")
        program.until(lambda: get(at, "/readyz")[0] == 200)
        assert program.stopped(signal.SIGTERM) == 0


def test_a_taken_port_is_a_runtime_error_that_says_what_to_type(
    tmp_path: Path, policies: Path, fleet: Triton
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with daemon(tmp_path, policies, fleet, "--listen", f"127.0.0.1:{number}") as program:
            assert program.process.wait(20) == 3
    assert f"cannot listen on 127.0.0.1:{number}" in program.said()
    assert "--listen none" in program.said()


def test_broken_policies_at_the_start_are_problems_with_their_place(
    tmp_path: Path, policies: Path, fleet: Triton
) -> None:
    (policies / "flower.yaml").write_text(POLICY.replace("50ms", "50"))
    with daemon(tmp_path, policies, fleet) as program:
        assert program.process.wait(20) == 1
    assert re.search(r"flower\.yaml:7:\d+", program.said())


def test_a_stream_of_decisions_on_stdout(tmp_path: Path, policies: Path, fleet: Triton) -> None:
    with daemon(tmp_path, policies, fleet, "-o", "json") as program:
        program.until(lambda: program.out.read_text().count("\n") > 3)
        assert program.stopped(signal.SIGTERM) == 0
    lines = program.out.read_text().splitlines()
    assert {json.loads(line)["policy"] for line in lines} == {"default/flower"}
