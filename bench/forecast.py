"""How far each look-back of a trend is trusted: its error beside that of a constant margin."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.model import Forecast
from autoscaler.sim.cases import cases
from autoscaler.sim.contestants import our_policy
from autoscaler.sim.scaler import PolicyScaler, drive
from bench.figures import figure, say

COLD_START = 300  # s: node, image, model
DAYS = 4.0  # of which the second half is run
LOOK_BACKS = (300.0, 900.0, 1800.0)


def main() -> None:
    say(f"forecast: {DAYS / 2:g} days of each built-in workload, cold start {COLD_START} s")
    for case in cases(COLD_START, (1,), None, days=DAYS):
        _, trace = case.parts[1]
        for look_back in LOOK_BACKS:
            policy = our_policy(case.scenario, 0.2)
            objectives = [one for one in policy.objectives if not isinstance(one, Forecast)]
            policy = replace(policy, objectives=(*objectives, Forecast(look_back, None)))
            scaler = PolicyScaler(policy, keep=True)
            drive(case.scenario, trace, scaler)
            errors = [
                decision.figures["forecastTrendError"]
                for decision in scaler.decisions
                if "forecastTrendError" in decision.figures
            ]
            raised = sum(step.stage == "forecast" for one in scaler.decisions for step in one.trace)
            size = f"{case.name}, look-back {look_back / 60:g} min"
            figure("forecast_error", sum(errors) / len(errors), "of a constant margin's", size)
            figure("forecast_raises", raised / len(scaler.decisions), "of all decisions", size)


if __name__ == "__main__":
    main()
