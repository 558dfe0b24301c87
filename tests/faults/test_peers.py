"""Bugs that others had in these parts, on the whole of ours."""

from __future__ import annotations

from random import Random

import pytest

from autoscaler.policy import load_texts
from tests.faults.runs import MOMENTS, Fault, run
from tests.faults.servers import CAPACITY
from tests.faults.site import Site
from tests.faults.world import DRAIN, TruePod, World
from tests.unit.policy.texts import policy_text


async def nothing(site: Site, random: Random) -> None:
    pass


FAIR = Fault("nothing", nothing, "a wave of load as on any day", ())


def test_aibrix_1014_wva_1213_a_load_makes_it_grow_and_its_end_makes_it_shrink() -> None:
    """Each part of theirs worked, and the whole never scaled."""
    verdict = run(FAIR, MOMENTS[:1], seed=0)
    sizes = [2, *(change.after for change in verdict.changes)]
    assert max(sizes) > 4
    assert sizes[-1] == 2
    assert verdict.bad == []


def test_dynamo_13559_a_replica_that_goes_has_time_to_answer_what_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No overloaded server is let go: 5 s at 100 requests/s are time for 500 requests."""
    inside = []
    end = World._end

    def ended(world: World, pod: TruePod) -> None:
        if pod.server is not None:
            inside.append(pod.server.backlog)
        end(world, pod)

    monkeypatch.setattr(World, "_end", ended)
    run(FAIR, MOMENTS[:2], seed=0)
    assert len(inside) > 4
    assert max(inside) < DRAIN * CAPACITY


@pytest.mark.parametrize("version", ["triton-autoscaler/v1beta1", "triton-autoscaler/v1", "v1"])
def test_dynamo_11220_a_budget_of_another_version_is_refused_and_not_ignored(version: str) -> None:
    budget = f"""\
apiVersion: {version}
kind: GpuBudget
metadata: {{name: shared, namespace: ml}}
spec: {{gpus: 8, policies: [{{name: flower, namespace: default}}]}}
"""
    found = load_texts({"flower.yaml": policy_text(), "budget.yaml": budget})
    assert not found.ok
    assert not found.policies  # nobody scales without the budget: the last good set stays
    assert [problem.check for problem in found.problems] == ["api-version"]
