"""A backtest in words and numbers: the table's rows and the JSON document, from one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autoscaler.sim.backtest.findings import stamp
from autoscaler.sim.backtest.result import Answer, Backtest, Error, Figures
from autoscaler.units import format_duration, format_number, format_share

Row = tuple[str, list[str]]


def columns(found: Backtest) -> list[str]:
    """Heads of the table: what ran as recorded and by the model, then each policy by the model."""
    return ["what ran", "what ran, model", *(f"{a.policy.name}, model" for a in found.answers)]


def rows(found: Backtest) -> list[Row]:
    """(what, a cell for each of `columns`)"""
    sides = [found.ran, found.ran_modelled, *(answer.figures for answer in found.answers)]
    told: list[Row] = [
        ("SLA-miss minutes", [_missed(one) for one in sides]),
        ("GPU-hours", [format_number(one.gpu_hours) for one in sides]),
    ]
    if any(one.cost is not None for one in sides):
        told.append(("money", [_money(one.cost, found.currency) for one in sides]))
    return [
        *told,
        ("replicas, mean", [format_number(one.mean_replicas) for one in sides]),
        ("replicas, most", [str(one.most_replicas) for one in sides]),
        ("changes up, down", [f"{one.ups}, {one.downs}" for one in sides]),
        ("queue time, mean", [_duration(one.queue_time) for one in sides]),
    ]


def _missed(one: Figures) -> str:
    sure = f" ({one.certain} certain)" if one.certain is not None else ""
    return f"{one.missed} of {one.minutes}{sure}"


def _money(cost: float | None, currency: str) -> str:
    return "-" if cost is None else f"{cost:,.2f} {currency}"


def _duration(seconds: float | None) -> str:
    return "-" if seconds is None else format_duration(seconds)


def sentences(found: Backtest) -> list[str]:
    """What stands beneath the table: what is the model's, how far it is off, what was said."""
    patience = format_duration(found.patience)
    definition = (
        f"A minute missed the SLA if more than 1 % of its requests queued longer than {patience}, "
        "were refused or were lost. Counters tell means and no tails: what ran is judged by the "
        "model's spread about the recorded mean; certain are the minutes whose mean alone is over "
        "it, or of which over 1 % failed."
    )
    server = (
        "Recorded queue time belongs to the replicas that ran; of any other fleet it is the "
        f"model's. Its server: {found.server}; a start takes {format_duration(found.cold_start)}. "
        "Its load is what was counted."
    )
    lines = [definition, error_words(found.error), server]
    if found.unsure:
        lines.append(
            f"In {found.unsure} minutes what ran was at the end of its capacity: requests that "
            "were refused there are in no counter, so the load may have been higher."
        )
    lines += [beyond_words(answer) for answer in found.answers if answer.beyond]
    lines += [said_words(answer) for answer in found.answers]
    return lines


def error_words(error: Error) -> str:
    """How far the model is off on this history."""
    if error.median is None or error.p90 is None or error.bias is None:
        return "The model could not be held against the record: nobody was answered."
    rows = "minutes" if error.seconds == 60 else f"stretches of {format_duration(error.seconds)}"
    how = " (each half by a server fitted to the other half)" if error.across else ""
    direction = "more" if error.bias >= 0 else "less"
    return (
        f"The model's error here: given the replicas that ran{how}, its queue time is off by "
        f"{format_duration(error.median)} in the median and by up to {format_duration(error.p90)} "
        f"in nine of ten {rows}, {format_duration(abs(error.bias))} {direction} on average; "
        f"missed minutes that both see: {error.both}, only the model: {error.only_model}, only the "
        f"record: {error.only_recorded}."
    )


def said_words(answer: Answer) -> str:
    """Over the record as it was, without the model."""
    more, fewer, unknown = answer.said.shares()
    blind = f", in {format_share(unknown)} the size is not known" if unknown else ""
    return (
        f"{answer.policy.name}, asked about what was recorded, without any model: "
        f"in {format_share(more)} of {answer.said.ticks:,} ticks it would have wanted more "
        f"replicas than ran, in {format_share(fewer)} fewer{blind}."
    )


def beyond_words(answer: Answer) -> str:
    """Where the counterfactual leaves what the record can vouch for."""
    minutes = "1 minute" if answer.beyond == 1 else f"{answer.beyond:,} minutes"
    return (
        f"In {minutes} a replica of {answer.policy.name}'s fleet carries more than any was seen "
        "to carry: its queue there is an extrapolation."
    )


# --- JSON ------------------------------------------------------------------------------------


def document(found: Backtest) -> dict[str, Any]:
    """Seconds, hours, ratios 0 to 1; times in RFC 3339."""
    return {
        "target": {
            "kind": found.target.kind,
            "namespace": found.target.namespace,
            "name": found.target.name,
        },
        "from": stamp(found.start),
        "to": stamp(found.end),
        "scrapeInterval": found.step,
        "step": found.tick,
        "pull": {
            "queries": found.queries,
            "fromDisk": found.cached,
            "bytes": found.bytes,
        },
        "definitions": {
            "queueTime": found.patience,
            "missedMinute": "more than 1 % of its requests queued longer than queueTime, were "
            "refused or were lost",
        },
        "ran": {"recorded": figures(found.ran), "model": figures(found.ran_modelled)},
        "model": {
            "server": found.server,
            "requestsPerSecond": found.capacity,
            "coldStart": found.cold_start,
            "error": _error(found.error),
        },
        "uncertainMinutes": found.unsure,
        "policies": [_answer(answer) for answer in found.answers],
        "currency": found.currency,
        "findings": [
            {"place": one.place, "reason": one.reason, "remedy": one.remedy}
            for one in found.findings
        ],
        "seconds": {name: round(took, 3) for name, took in found.seconds.items()},
    }


def figures(one: Figures) -> dict[str, Any]:
    told: dict[str, Any] = {
        "missMinutes": one.missed,
        "minutes": one.minutes,
        "gpuHours": one.gpu_hours,
        "cost": one.cost,
        "replicas": {"mean": one.mean_replicas, "most": one.most_replicas},
        "changes": {"up": one.ups, "down": one.downs},
        "queueTime": one.queue_time,
        "requests": one.requests,
    }
    if one.certain is not None:
        told["certainMissMinutes"] = one.certain
    return told


def _error(error: Error) -> dict[str, Any]:
    return {
        "rows": error.rows,
        "rowSeconds": error.seconds,
        "queueTime": {"median": error.median, "p90": error.p90, "bias": error.bias},
        "missMinutes": {
            "both": error.both,
            "onlyRecorded": error.only_recorded,
            "onlyModel": error.only_model,
        },
        "crossValidated": error.across,
    }


def _answer(answer: Answer) -> dict[str, Any]:
    more, fewer, unknown = answer.said.shares()
    return {
        "policy": answer.policy.key,
        "model": figures(answer.figures),
        "minutesBeyondTheRecord": answer.beyond,
        "said": {
            "ticks": answer.said.ticks,
            "wantedMore": more,
            "wantedFewer": fewer,
            "unknown": unknown,
        },
        "decisions": _decisions(answer),
    }


def _decisions(answer: Answer) -> Sequence[dict[str, Any]]:
    """Those of the modelled fleet that moved it."""
    return [
        {
            "at": stamp(one.at),
            "before": one.current,
            "after": one.desired,
            "binding": one.binding,
            "sentence": one.sentence,
        }
        for one in answer.changes
        if one.desired != one.current
    ]
