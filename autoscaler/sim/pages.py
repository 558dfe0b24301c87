"""A simulated server's `/metrics` page: the families, texts and label order of Triton 2.51.

As the recordings show them: four `reason` series from the start, no `gpu_uuid` on
`nv_inference_*`, no summaries and no histograms (both are off by default).
"""

from __future__ import annotations

from collections.abc import Iterable

from autoscaler.sim.server import TritonServer

_REASONS = ("OTHER", "BACKEND", "CANCELED", "REJECTED")

# bytes, watts: an H200 with one BERT-large, as recorded
_GPU_MEMORY, _GPU_MEMORY_USED = 150_754_820_096, 2_459_959_296
_POWER_LIMIT = 700
_CPU_MEMORY, _CPU_MEMORY_USED = 540_908_769_280, 5_100_888_064
_PINNED = 268_435_456


def page(server: TritonServer, model: str, gpu_uuid: str) -> str:
    """Prometheus text; durations are whole microseconds, as Triton counts them."""
    labels = f'model="{model}",version="1"'
    gpu = f'gpu_uuid="{gpu_uuid}"'
    return "".join((*_counters(server, model, labels, gpu), *_gauges(server, labels, gpu)))


def _counters(server: TritonServer, model: str, labels: str, gpu: str) -> Iterable[str]:
    counters = server.counters
    yield _family(
        "nv_inference_request_success",
        "counter",
        "Number of successful inference requests, all batch sizes",
        [(labels, counters.success)],
    )
    # Requests refused at a full queue move none of these: 49,236 in the recording, all stayed 0.
    yield _family(
        "nv_inference_request_failure",
        "counter",
        "Number of failed inference requests, all batch sizes",
        [(f'model="{model}",reason="{reason}",version="1"', 0) for reason in _REASONS],
    )
    yield _family(
        "nv_inference_count",
        "counter",
        "Number of inferences performed (does not include cached requests)",
        [(labels, counters.success)],
    )
    yield _family(
        "nv_inference_exec_count",
        "counter",
        "Number of model executions performed (does not include cached requests)",
        [(labels, counters.executions)],
    )
    cached, uncached = "(includes cached requests)", "(does not include cached requests)"
    for name, text, seconds in (
        ("request", f"inference request duration in microseconds {cached}", counters.request),
        ("queue", f"inference queuing duration in microseconds {cached}", counters.queue),
        (
            "compute_input",
            f"compute input duration in microseconds {uncached}",
            counters.compute_input,
        ),
        (
            "compute_infer",
            f"compute inference duration in microseconds {uncached}",
            counters.compute_infer,
        ),
        (
            "compute_output",
            f"inference compute output duration in microseconds {uncached}",
            counters.compute_output,
        ),
    ):
        value = int(seconds * 1e6)
        yield _family(
            f"nv_inference_{name}_duration_us", "counter", f"Cumulative {text}", [(labels, value)]
        )
    yield _family(
        "nv_energy_consumption",
        "counter",
        "GPU energy consumption in joules since the Triton Server started",
        [(gpu, f"{counters.energy:.3f}")],
    )


def _gauges(server: TritonServer, labels: str, gpu: str) -> Iterable[str]:
    for name, text, at, value in (
        (
            "nv_inference_pending_request_count",
            "Instantaneous number of pending requests awaiting execution per-model.",
            labels,
            str(server.pending),
        ),
        (
            "nv_pinned_memory_pool_total_bytes",
            "Pinned memory pool total memory size, in bytes",
            "",
            str(_PINNED),
        ),
        (
            "nv_pinned_memory_pool_used_bytes",
            "Pinned memory pool used memory size, in bytes",
            "",
            "0",
        ),
        (
            "nv_gpu_utilization",
            "GPU utilization rate [0.0 - 1.0)",
            gpu,
            f"{server.gpu_utilization:.2f}",
        ),
        ("nv_gpu_memory_total_bytes", "GPU total memory, in bytes", gpu, str(_GPU_MEMORY)),
        ("nv_gpu_memory_used_bytes", "GPU used memory, in bytes", gpu, str(_GPU_MEMORY_USED)),
        ("nv_gpu_power_usage", "GPU power usage in watts", gpu, f"{server.power:.3f}"),
        ("nv_gpu_power_limit", "GPU power management limit in watts", gpu, str(_POWER_LIMIT)),
        ("nv_cpu_utilization", "CPU utilization rate [0.0 - 1.0]", "", "0.0716057"),
        ("nv_cpu_memory_total_bytes", "CPU total memory (RAM), in bytes", "", str(_CPU_MEMORY)),
        ("nv_cpu_memory_used_bytes", "CPU used memory (RAM), in bytes", "", str(_CPU_MEMORY_USED)),
    ):
        yield _family(name, "gauge", text, [(at, value)])


def _family(name: str, kind: str, text: str, samples: Iterable[tuple[str, object]]) -> str:
    lines = [f"# HELP {name} {text}\n# TYPE {name} {kind}\n"]
    for labels, value in samples:
        lines.append(f"{name}{{{labels}}} {value}\n" if labels else f"{name} {value}\n")
    return "".join(lines)
