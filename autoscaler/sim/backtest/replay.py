"""`decide` over the recorded observations: what the policy would have said, without any model."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace

from autoscaler.decide.pipeline import decide
from autoscaler.model import Decision, Policy, State
from autoscaler.observe.prometheus import no_collection
from autoscaler.sim.backtest.history import History
from autoscaler.sim.backtest.observations import observations
from autoscaler.sim.scaler import differs


@dataclass(slots=True)
class Said:
    """By tick: `current` as recorded and `desired`; -1 where one is not known.

    `changes`: the decisions at which the wish, the deciding stage, or a hold changed; all of 14
    days at 15 s would be 300 MB.
    """

    times: array[float]
    current: array[int]
    desired: array[int]
    changes: list[Decision]

    @property
    def ticks(self) -> int:
        return len(self.times)

    def shares(self) -> tuple[float, float, float]:
        """Of the ticks at which both are known: more wanted than ran, fewer, unknown (of all)."""
        pairs = list(zip(self.current, self.desired, strict=True))
        known = [(c, d) for c, d in pairs if c >= 0 and d >= 0]
        count = len(known) or 1
        return (
            sum(d > c for c, d in known) / count,
            sum(d < c for c, d in known) / count,
            1 - len(known) / (len(pairs) or 1),
        )


def replay(history: History, policy: Policy, every: int = 1) -> Said:
    """A tick each `every` steps, the state carried along.

    As a dry run: the replicas stay what they were, whatever is said, and the hands that moved
    them are nobody's contest.
    """
    asked = replace(policy, mode="observe", paused=False)
    said = Said(array("d"), array("i"), array("i"), [])
    state = State()
    with no_collection():
        for observation in observations(history, asked, every):
            decision, state = decide(asked, observation, state, observation.at)
            said.times.append(observation.at)
            said.current.append(-1 if decision.current is None else decision.current)
            said.desired.append(-1 if decision.desired is None else decision.desired)
            if not said.changes or differs(said.changes[-1], decision):
                said.changes.append(decision)
    return said
