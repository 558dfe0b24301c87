"""What to ask about GPUs: duty cycle and power of a pod's busiest GPU, whoever measures it.

The chain takes, for each pod, the first source that knows it. Values over 1e15 are DCGM's blanks
(about 9.2e18) and dropped. GPUs may be shared: the maximum of a pod's GPUs, never their sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from autoscaler.model import Missing, Sample, Signal, Windows
from autoscaler.observe.triton import GPU_POWER, GPU_POWER_LIMIT, GPU_UTILIZATION, span
from autoscaler.units import format_number

GR_ENGINE_ACTIVE = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
GPU_UTIL = "DCGM_FI_DEV_GPU_UTIL"
DCGM_POWER = "DCGM_FI_DEV_POWER_USAGE"
DCGM_POWER_LIMIT = "DCGM_FI_DEV_POWER_MGMT_LIMIT"
GKE_PLUGIN = "duty_cycle"
GKE_SYSTEM = "kubernetes_io:container_accelerator_duty_cycle"

# Values of the label `source` in the chain's answer.
MIG = "mig"
LEAST_WINDOW = {"gr": 45.0, MIG: 45.0, "util": 45.0, "dcgm": 45.0, "gke": 120.0}
SOURCES = ("gr", MIG, "util", "triton", "gke", "dcgm")
NAMES = {
    "gr": GR_ENGINE_ACTIVE,
    "util": GPU_UTIL,
    "triton": GPU_UTILIZATION,
    "gke": "GKE's duty_cycle",
}

NO_DUTY = Missing(f"no GPU utilisation for this pod: looked for {', '.join(NAMES.values())}")
NO_POWER = Missing(
    f"no GPU power for this pod: looked for {GPU_POWER} and {DCGM_POWER}, each with its limit"
)
ON_MIG = Missing(
    f"on a MIG slice {GPU_UTIL} is not supported and may read 0: let dcgm-exporter export "
    f"{GR_ENGINE_ACTIVE}"
)

# A vector expression over a selector of one or two metrics: matchers → expression.
Over = Callable[[str], str]


def gpu_queries(windows: Windows) -> dict[str, str]:
    """Two instant queries, `duty cycle` and `power`, each by (namespace, pod, source)."""
    dcgm, gke = (span(source_window(source, windows)) for source in ("util", "gke"))
    fast = span(windows.fast)
    duty = {
        "gr": _workload(_mean(GR_ENGINE_ACTIVE, dcgm)),
        # Ahead of the sources that are wrong on MIG, so that those are not believed there.
        MIG: _workload(_mean(GPU_UTIL, dcgm), 'GPU_I_ID!=""')
        + " or "
        + _workload(_mean(GPU_UTIL, dcgm), 'GPU_I_PROFILE!=""'),
        "util": _workload(_mean(GPU_UTIL, dcgm), scale=" / 100"),
        "triton": _own(_mean(GPU_UTILIZATION, fast)),
        "gke": _workload(_mean(GKE_PLUGIN, gke), scale=" / 100")
        + " or "
        + _renamed(_mean(GKE_SYSTEM, gke), "namespace_name", "pod_name", scale=" / 100"),
    }
    watts = {
        "triton": _own(_ratio(GPU_POWER, GPU_POWER_LIMIT, fast)),
        "dcgm": _workload(_ratio(DCGM_POWER, DCGM_POWER_LIMIT, dcgm)),
    }
    return {"duty cycle": _chain(duty), "power": _chain(watts)}


def source_window(source: str, windows: Windows) -> float:
    """Seconds that a source's mean covers.

    One reading of nv_gpu_utilization covers a second or two, so it is averaged over the fast
    window. DCGM collects every 30 s and GKE every 60 s: theirs hold one or two of those.
    """
    return max(windows.fast, LEAST_WINDOW.get(source, 0.0))


def duty_cycle(value: float, source: str, completed: float, at: float, window: float) -> Signal:
    """0..1. `completed` is the pod's requests/s: a GPU at 0 that answers requests is a blank.

    Triton writes 0 for a blank of DCGM, and after three failures its reading stands still.
    """
    if source == MIG:
        return ON_MIG
    if value == 0.0 and completed > 0.0:
        return Missing(
            f"{NAMES.get(source, source)} reads 0 while {format_number(completed)} requests/s "
            "complete: a blank, not an idle GPU"
        )
    if not 0.0 <= value <= 1.05:
        return Missing(f"{NAMES.get(source, source)} reads {value:g}, expected 0 to 1")
    return Sample(min(value, 1.0), at, window)


def power(value: float, at: float, window: float) -> Signal:
    """Share of the board's limit; a board exceeds it for moments."""
    if not 0.0 <= value <= 1.5:
        return Missing(f"power reads {value:g} of its limit, expected 0 to 1")
    return Sample(value, at, window)


# --- PromQL ----------------------------------------------------------------------------------


def _chain(links: Mapping[str, str]) -> str:
    """The first link that has a pod answers for it, and the label `source` names it."""
    return " or on (namespace,pod) ".join(
        f'label_replace({expression}, "source", "{source}", "", "")'
        for source, expression in links.items()
    )


def _mean(metric: str, window: str) -> Over:
    # A blank in the window spoils that GPU's mean, which is then dropped: never averaged in.
    return lambda matchers: f"avg_over_time({metric}{{{matchers}}}[{window}]) < 1e15"


def _ratio(usage: str, limit: str, window: str) -> Over:
    # Both stand on one page with the same labels: matched on all of them, GPU by GPU.
    return lambda matchers: (
        f"avg_over_time({usage}{{{matchers}}}[{window}]) / ({limit}{{{matchers}}} > 0) < 1e15"
    )


def _own(over: Over) -> str:
    """A metric of the Triton page itself, whose target is the pod."""
    return f"max by (namespace,pod)({over('')})"


def _workload(over: Over, matcher: str = "", scale: str = "") -> str:
    """A metric of an exporter that names the pod it measured.

    dcgm-exporter ships honorLabels: false, so the workload is in exported_pod and `pod` is the
    exporter itself; only where there is no exported_pod is `pod` the workload.
    """
    more = f",{matcher}" if matcher else ""
    plain = f'max by (namespace,pod)({over(f"""exported_pod="",pod!=""{more}""")}){scale}'
    exported = _renamed(over, "exported_namespace", "exported_pod", matcher, scale)
    return f"({exported} or {plain})"


def _renamed(over: Over, namespace: str, pod: str, matcher: str = "", scale: str = "") -> str:
    # Aggregated first: an exporter that restarted has two series for one workload, and renaming
    # those to the same labels would fail the whole query.
    more = f",{matcher}" if matcher else ""
    grouped = f'max by ({namespace},{pod})({over(f"""{pod}!=""{more}""")}){scale}'
    named = f'label_replace({grouped}, "pod", "$1", "{pod}", "(.+)")'
    both = f'label_replace({named}, "namespace", "$1", "{namespace}", "(.+)")'
    return f"max by (namespace,pod)({both})"
