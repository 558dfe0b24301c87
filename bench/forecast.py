"""How far each forecast is trusted: its error beside that of a constant margin."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.model import Forecast
from autoscaler.sim.cases import cases
from autoscaler.sim.contestants import our_policy
from autoscaler.sim.scaler import PolicyScaler, drive
from bench.figures import figure, say

COLD_START = 300  # s: node, image, model
DAYS = 4.0  # of which the second half is run
CANDIDATES = {
    "peak 2m": Forecast(peak=120.0),
    "trend 5m": Forecast(trend=300.0),
    "trend 15m": Forecast(trend=900.0),
    "trend 30m": Forecast(trend=1800.0),
}


def main() -> None:
    say(f"forecast: {DAYS / 2:g} days of each built-in workload, cold start {COLD_START} s")
    for case in cases(COLD_START, (1,), None, days=DAYS):
        _, trace = case.parts[1]
        for name, candidate in CANDIDATES.items():
            policy = our_policy(case.scenario, 0.2)
            objectives = [one for one in policy.objectives if not isinstance(one, Forecast)]
            policy = replace(policy, objectives=(*objectives, candidate))
            scaler = PolicyScaler(policy, keep=True)
            drive(case.scenario, trace, scaler)
            key = f"forecast{name.split()[0].title()}Error"
            errors = [one.figures[key] for one in scaler.decisions if key in one.figures]
            raised = sum(step.stage == "forecast" for one in scaler.decisions for step in one.trace)
            size = f"{case.name}, {name}"
            figure("forecast_error", sum(errors) / len(errors), "of a constant margin's", size)
            figure("forecast_raises", raised / len(scaler.decisions), "of all decisions", size)


if __name__ == "__main__":
    main()
