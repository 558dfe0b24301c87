"""From Prometheus' columns to each pod's signals: what an absent number means, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoscaler.model import Missing, ModelSignals, Signal, Windows
from autoscaler.observe import gpu, triton
from autoscaler.observe.columns import Column, SampleTimes, Table
from autoscaler.observe.port import PodKey, PodReading
from autoscaler.observe.triton import NO_GAUGE, NO_QUEUE, YOUNG

ALL_MODELS = "*"  # stands for the models of a pod of which none is known
NO_MODELS = Missing("no model has a series yet")

# Signals by pod.
Models = dict[PodKey, list[ModelSignals]]


def pod_readings(
    table: Table,
    answers: Mapping[str, Any],
    sampled_at: SampleTimes,
    skew: float,
    windows: Windows,
    now: float,
) -> dict[PodKey, PodReading]:
    """Every pod that Prometheus knows a sample of. `answers`: by name, what came, or Missing.

    `skew` is what Prometheus' clock is ahead of ours; `sampled_at` is by its clock.
    """
    models = _model_signals(table, answers, sampled_at, skew, windows)
    none = answers["completions"]
    unknown = (triton.unknown_model(ALL_MODELS, none if isinstance(none, Missing) else NO_MODELS),)
    duty, watts = answers["duty cycle"], answers["power"]
    spans = {source: gpu.source_window(source, windows) for source in gpu.SOURCES}
    readings = {}
    for pod, sampled in sampled_at.pods.items():
        at = sampled - skew
        of_pod = tuple(models.get(pod, unknown))
        readings[pod] = PodReading(
            at,
            of_pod,
            _duty_cycle(duty, pod, of_pod, at, now, spans),
            _power(watts, pod, at, now, spans),
        )
    return readings


def _model_signals(
    table: Table,
    answers: Mapping[str, Any],
    sampled_at: SampleTimes,
    skew: float,
    windows: Windows,
) -> Models:
    """Zero stands for absence only where the series behind it is known to be there.

    failures: Triton has them from the start, and the answer leaves zeros out.
    range and change of pending: likewise, where the gauge itself is there.
    """
    pending = table.full(answers["pending"])
    has_level = _pods_with(table, pending) if None in pending else ()
    times, versions = sampled_at.pods, sampled_at.versions
    models: Models = {}
    for key, last, done, done_slow, queued, queued_slow, *rest in zip(
        table.rows,
        pending,
        table.full(answers["completions"], YOUNG),
        table.full(answers["completions slow"], YOUNG),
        table.full(answers["queueing"]),
        table.full(answers["queueing slow"]),
        table.full(_part(answers["failures"], "fast"), 0.0),
        table.full(_part(answers["failures"], "slow"), 0.0),
        table.full(_part(answers["failures"], "rejected"), 0.0),
        table.full(_part(answers["pending range"], "floor"), 0.0),
        table.full(_part(answers["pending range"], "peak"), 0.0),
        table.full(_part(answers["pending change"], "fast"), 0.0),
        table.full(_part(answers["pending change"], "slow"), 0.0),
        strict=True,
    ):
        pod = key[:2]
        sampled = times.get(pod)
        if sampled is None:
            continue
        level, (failed, failed_slow, rejected, floor, peak, change, change_slow) = last, rest
        if level is None:
            if pod in has_level:
                # Unloaded: its rates trail on for a whole window, its level ended with it.
                continue
            level = floor = peak = change = change_slow = NO_GAUGE
        no_queue = YOUNG if done is YOUNG else NO_QUEUE
        signals = triton.model_signals(
            key[2],
            sampled - skew,
            windows,
            done,
            done_slow,
            no_queue if queued is None else queued,
            no_queue if queued_slow is None else queued_slow,
            failed,
            failed_slow,
            YOUNG if done is YOUNG else rejected,
            level,
            floor,
            peak,
            change,
            change_slow,
            versions=versions.get(key),
        )
        if pod in models:
            models[pod].append(signals)
        else:
            models[pod] = [signals]
    return models


def _pods_with(table: Table, column: Column) -> set[PodKey]:
    rows = zip(table.rows, column, strict=True)
    return {key[:2] for key, value in rows if value is not None}


def _part(answer: Any, part: str) -> Any:
    return answer if isinstance(answer, Missing) else answer.get(part)


def _duty_cycle(
    column: Any,
    pod: PodKey,
    models: tuple[ModelSignals, ...],
    at: float,
    now: float,
    spans: Mapping[str, float],
) -> Signal:
    if isinstance(column, Missing):
        return column
    if pod not in column:
        return gpu.NO_DUTY
    value, source = column[pod]
    completed = 0.0
    if value == 0.0:
        completed = sum(getattr(model.completions, "value", 0.0) for model in models)
    # Triton's own figure is as old as its page; the exporters' is the mean up to now.
    measured = at if source == "triton" else now
    return gpu.duty_cycle(value, source, completed, measured, spans[source])


def _power(column: Any, pod: PodKey, at: float, now: float, spans: Mapping[str, float]) -> Signal:
    if isinstance(column, Missing):
        return column
    if pod not in column:
        return gpu.NO_POWER
    value, source = column[pod]
    return gpu.power(value, at if source == "triton" else now, spans[source])
