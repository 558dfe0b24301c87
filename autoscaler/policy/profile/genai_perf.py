"""GenAI-Perf's `profile_export_genai_perf.json`: one run, one load, one point.

Its CSV has the same figures without the load they were measured at, so it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoscaler.policy.profile.sweep import Configuration, Mode, Point, Profile, ProfileError
from autoscaler.policy.profile.table import Table

TOOL = "GenAI-Perf"
_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0}
_LOADS: tuple[tuple[str, Mode], ...] = (("concurrency", "closed"), ("request_rate", "open"))


def is_run(document: Any) -> bool:
    return isinstance(document, dict) and {"request_throughput", "request_latency"} <= set(document)


def is_csv(table: Table) -> bool:
    return table.header[0] == "Metric"


def refuse_csv(table: Table) -> ProfileError:
    return ProfileError(
        "is GenAI-Perf's CSV, which does not say at which load it was measured",
        "give the profile_export.json files of the runs beside it, with --join",
        table.line,
    )


def read_run(document: Mapping[str, Any]) -> Profile:
    """Raises ProfileError."""
    try:
        latency = document["request_latency"]
        unit = _SECONDS[latency["unit"]]
        given = document.get("input_config") or {}
        mode, load = _load(given)
        point = Point(
            load,
            float(document["request_throughput"]["avg"]),
            {
                round(float(name[1:]) / 100, 9): float(value) * unit
                for name, value in latency.items()
                if name.startswith("p") and name[1:].replace(".", "", 1).isdigit()
            },
            float(latency["avg"]) * unit,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProfileError(
            f"lacks what GenAI-Perf writes there: {error}",
            "give profile_export.json, or the file as GenAI-Perf wrote it",
        ) from None
    model = given.get("model") or given.get("formatted_model_name") or ""
    name = model if isinstance(model, str) else ""
    return Profile((point,), mode, 1, Configuration(name), tool=TOOL)


def _load(given: Mapping[str, Any]) -> tuple[Mode, float]:
    """Older versions keep it flat, newer ones under perf_analyzer.stimulus."""
    nested = given.get("perf_analyzer")
    stimulus = nested.get("stimulus") if isinstance(nested, dict) else None
    for place in (stimulus, given):
        for name, mode in _LOADS:
            if isinstance(place, dict) and place.get(name):
                return mode, float(place[name])
    raise ValueError("neither concurrency nor request_rate under input_config")
