"""A decision in sentences, from what it carries itself and, where there is one, its observation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from autoscaler.cli.output import wrap
from autoscaler.cli.units import rfc3339
from autoscaler.model import Decision, Missing, Observation, Pod, Sample, Signal, Step
from autoscaler.units import format_duration, format_number, format_share

FIGURES: dict[str, tuple[str, Callable[[float], str]]] = {
    "requestsPerSecond": ("requests per second", format_number),
    "queueTime": ("queue time", format_duration),
    "pending": ("pending requests", format_number),
    "dutyCycle": ("GPU duty cycle", format_share),
    "rejectedRatio": ("turned away", format_share),
    "capacityBelied": ("share of the policy's capacity that belies it", format_share),
    "forecastPeak": ("replicas' worth at most, from a cold start on, as learned", format_number),
    "forecastPeakError": ("error of the peak beside a constant margin's", format_share),
    "forecastTrend": ("replicas' worth a cold start from now, by the trend", format_number),
    "forecastTrendError": ("error of the trend beside a constant margin's", format_share),
    "forecastSeason": ("replicas' worth a cold start from now, by the season", format_number),
    "forecastSeasonError": ("error of the season beside a constant margin's", format_share),
    "serving": ("pods serving", format_number),
    "arriving": ("replicas on their way", format_number),
    "oldestSample": ("oldest signal used", lambda age: f"{format_duration(age)} old"),
}


def explain(decision: Decision, observation: Observation | None) -> list[str]:
    """Lines of at most 100 columns."""
    target = decision.target
    name = f"{target.kind} {target.namespace}/{target.name}"
    lines = [
        *wrap(f"{decision.policy} at {rfc3339(decision.at)}, mode {decision.mode}, for {name}"),
        "",
        *wrap(decision.sentence),
    ]
    if decision.hold and decision.hold not in decision.sentence:
        lines += wrap(f"It holds: {decision.hold}.")
    if decision.flip:
        lines += wrap(f"What would change it: {decision.flip}.")
    lines += _section("Each objective", _proposals(decision))
    lines += _section("Each stage", (_step(step) for step in decision.trace))
    lines += _section("Figures", _figures(decision))
    if observation is not None:
        lines += _section("Signals", _signals(observation, decision.at))
    lines += _section("Notes", decision.notes)
    return lines


def _section(title: str, entries: Iterable[str]) -> list[str]:
    body = [line for entry in entries for line in _bullet(entry)]
    return ["", title, *body] if body else []


def _bullet(text: str) -> list[str]:
    first, *rest = wrap(text, "", 96)
    return [f"  - {first}", *(f"    {line}" for line in rest)]


def _proposals(decision: Decision) -> Iterator[str]:
    for proposal in decision.proposals:
        size = "has no say" if proposal.replicas is None else f"wants {proposal.replicas}"
        flip = f" (what would change it: {proposal.flip})" if proposal.flip else ""
        yield f"{proposal.objective} {size}: {proposal.reason}{flip}"


def _step(step: Step) -> str:
    moved = f"{step.before} → {step.after}" if step.before != step.after else f"{step.after} stays"
    flip = f" (what would change it: {step.flip})" if step.flip else ""
    return f"{step.stage}: {moved}: {step.reason}{flip}"


def _figures(decision: Decision) -> Iterator[str]:
    yield (
        f"replicas: {_number(decision.current)} now, {_number(decision.ready)} ready, "
        f"{_number(decision.desired)} wanted"
    )
    for name, value in decision.figures.items():
        words, form = FIGURES.get(name, (name, format_number))
        yield f"{words}: {form(value)}"


def _signals(observation: Observation, now: float) -> Iterator[str]:
    """Where they come from, how old they are, and what is missing and why."""
    yield (
        f"read from {observation.source} {format_duration(max(0.0, now - observation.at))} before "
        f"deciding, over windows of {format_duration(observation.windows.fast)} and "
        f"{format_duration(observation.windows.slow)}"
    )
    for pod in observation.pods:
        yield _pod(pod, now)
    for name, signal in observation.metrics.items():
        yield f"{name}: {_signal(signal, now)}"


def _pod(pod: Pod, now: float) -> str:
    state = "terminating" if pod.terminating else "ready" if pod.ready else "not ready"
    signals = [pod.duty_cycle, pod.gpu_power]
    signals += [signal for model in pod.models for signal in (model.arrivals, model.pending)]
    ages = [now - signal.at for signal in signals if isinstance(signal, Sample)]
    models = ", ".join(model.model for model in pod.models) or "no models seen"
    if not ages:
        return f"pod {pod.name} ({state}; {models}): no samples"
    oldest, newest = format_duration(max(ages)), format_duration(min(ages))
    age = f"{oldest} old" if oldest == newest else f"{newest} to {oldest} old"
    missing = sorted({signal.missing for signal in signals if isinstance(signal, Missing)})
    lacks = f"; missing: {'; '.join(missing)}" if missing else ""
    return f"pod {pod.name} ({state}; {models}): samples {age}{lacks}"


def _signal(signal: Signal, now: float) -> str:
    if isinstance(signal, Missing):
        return f"missing: {signal.missing}"
    return f"{format_number(signal.value)}, {format_duration(max(0.0, now - signal.at))} old"


def _number(value: int | None) -> str:
    return "unknown" if value is None else str(value)
