"""`decide`: the brain on a pipe. Observations in, decisions out, one flushed JSON line each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from autoscaler.cli.options import EXISTING, load_or_exit, policies_option
from autoscaler.cli.output import say


@click.command()
@policies_option
@click.option("--namespace", "-n", metavar="NAME", help="Only policies of this namespace.")
@click.option("--keep-going", is_flag=True, help="Skip a bad line and go on; still exit with 1.")
@click.option("--state", type=EXISTING, metavar="FILE", help="Begin with the states in this file.")
@click.option("--state-out", type=EXISTING, metavar="FILE", help="Write the states at the end.")
def command(
    policies: tuple[Path, ...],
    namespace: str | None,
    keep_going: bool,
    state: Path | None,
    state_out: Path | None,
) -> None:
    """Read observations as JSON Lines, write decisions as JSON Lines, one flushed line each.

    Each observation names its policy (`schema observation` tells its form). State is carried from
    line to line, for each policy on its own. A bad line ends it with exit code 1, after what was
    decided before it.
    """
    from autoscaler.run.app import Settings

    found = load_or_exit(Settings(policies=policies, namespace=namespace))
    pipe = Pipe({policy.key: policy for policy in found.policies}, _begin_with(state))
    good = _pump(pipe, keep_going)
    if state_out is not None:
        _write(pipe, state_out)
    if not good:
        click.get_current_context().exit(1)


class Pipe:
    """Policies and their states from line to line."""

    def __init__(self, policies: dict[str, Any], states: dict[str, Any]) -> None:
        self.policies = policies
        self.states = states  # policy key → Remembered

    def decide(self, line: bytes) -> bytes:
        """One observation's decision; raises WireError naming the field."""
        from autoscaler.decide import decide
        from autoscaler.model import Observation, State
        from autoscaler.run.state import Remembered
        from autoscaler.wire import WireError, from_json, to_json

        observation = from_json(Observation, line)
        policy = self.policies.get(observation.policy)
        if policy is None:
            known = ", ".join(sorted(self.policies)[:5])
            raise WireError(f"policy: there is none named {observation.policy!r}; known: {known}")
        last = self.states.get(policy.key)
        if last is not None and observation.at < last.at:
            raise WireError(
                f"at: {observation.at} is before this policy's last line, {last.at}: "
                "state goes forward only"
            )
        before = last.state if last is not None else State()
        decision, after = decide(policy, observation, before, observation.at)
        self.states[policy.key] = Remembered(observation.at, after)
        return to_json(decision)


def _pump(pipe: Pipe, keep_going: bool) -> bool:
    """Line in, line out, before the next is read; False when a line was bad."""
    from autoscaler.wire import WireError

    good = True
    # readline, not iteration: iterating reads ahead and would hold a line back
    for number, line in enumerate(iter(sys.stdin.buffer.readline, b""), start=1):
        if not line.strip():
            continue
        try:
            decided = pipe.decide(line)
        except WireError as error:
            say(f"Error: line {number}: {error}")
            good = False
            if not keep_going:
                break
            continue
        sys.stdout.buffer.write(decided + b"\n")
        sys.stdout.buffer.flush()
    return good


def _begin_with(path: Path | None) -> dict[str, Any]:
    from autoscaler.cli import RuntimeTrouble
    from autoscaler.run.state import FileStates, StateError

    if path is None:
        return {}
    try:
        return FileStates(path).read()
    except StateError as error:
        raise RuntimeTrouble(str(error)) from error


def _write(pipe: Pipe, path: Path) -> None:
    from autoscaler.cli import RuntimeTrouble
    from autoscaler.run.state import FileStates, StateError

    try:
        FileStates(path).write(pipe.states)
    except StateError as error:
        raise RuntimeTrouble(str(error)) from error
