"""The simulated HPA against timelines of the real one (Kubernetes v1.36.3), all of its loop.

Left out as in test_behavior: `int32_wrap` and `scale_to_zero`. Here also those whose controller
has another downscale stabilization than 300 s, which a baseline may have.
"""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.decide import hpa
from autoscaler.model import Bounds
from autoscaler.sim.baselines.hpa import HpaLoop
from tests.oracle.test_behavior import CASES, to_behavior


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_loop_goes_where_the_real_hpa_goes(case: dict[str, Any]) -> None:
    size = case["start"]
    loop = HpaLoop(
        Bounds(case["min"], case["max"]),
        to_behavior(case["behavior"]),
        case["downscale_stabilization_s"],
    )
    for step in case["steps"]:
        size = step.get("set", size)
        edited = {"min": loop.bounds.min, "max": loop.bounds.max} | step
        loop.bounds = Bounds(edited["min"], edited["max"])
        if "behavior" in step:
            loop.behavior = to_behavior(step["behavior"])
        size = loop.reconcile(size, proposal(case, step, size), step["t"])
        assert size == step["want"]["desired"]


def proposal(case: dict[str, Any], step: dict[str, Any], size: int) -> int | None:
    if case["mode"] == "raw":
        return step["raw"]
    if case["mode"] == "multi":
        return largest(step["raws"], size)
    if step["usage_milli"] is None:
        return None
    tolerance = hpa.Tolerance(**case["tolerance"])
    target = case["target_milli"]
    return hpa.average_value(size, target, tolerance, step["usage_milli"]).replicas


def largest(raws: list[int | None], size: int) -> int | None:
    """The oracle's rule for several metrics: one missing never lets the size fall."""
    known = [raw for raw in raws if raw is not None]
    if not known or (len(known) < len(raws) and max(known) < size):
        return None
    return max(known)
