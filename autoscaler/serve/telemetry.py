"""Our own metrics, in a registry of their own.

Gauges of policies are read off the board at each scrape, so that a policy that is gone takes its
series with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from autoscaler.model import Decision
from autoscaler.serve.board import Board

PREFIX = "triton_autoscaler_"
LABELS = ("namespace", "policy", "target")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
FIGURES = {
    "requestsPerSecond": ("requests_per_second", "Requests per second that arrive."),
    "queueTime": ("queue_time_seconds", "Mean time in Triton's queue, request-weighted."),
    "pending": ("pending_requests", "Requests in the servers without an answer yet."),
    "dutyCycle": ("duty_cycle_ratio", "Mean GPU duty cycle of the pods."),
    "rejectedRatio": ("rejected_ratio", "Share of requests that Triton counted as turned away."),
    "capacityLostFor": (
        "capacity_lost_seconds",
        "Since when the node pool has brought nothing of what was asked for.",
    ),
    "capacityBelied": (
        "capacity_belied_ratio",
        "Share of the policy's capacity that broke the SLA, or well above 1 kept it.",
    ),
}


class Telemetry:
    def __init__(self, board: Board, now: Callable[[], float]) -> None:
        # a `_created` beside every counter would double the series
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.registry.register(BoardCollector(board, now))
        self._ticks = Histogram(
            f"{PREFIX}tick_duration_seconds",
            "How long a tick took.",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._stages = Counter(
            f"{PREFIX}tick_stage_seconds",
            "Time spent in each stage of the ticks.",
            ("stage",),
            registry=self.registry,
        )
        self._errors = Counter(
            f"{PREFIX}errors",
            "What went wrong in ticks, by stage.",
            ("cause",),
            registry=self.registry,
        )
        self._actions = Counter(
            f"{PREFIX}actions",
            "Writes to the outside world (or, in a dry run, what would have been one).",
            ("kind", "executor"),
            registry=self.registry,
        )

    def causes(self, known: Iterable[str]) -> None:
        """Every cause from the start at 0: a counter that appears with its first error has no
        rate() until the second."""
        for cause in known:
            self._errors.labels(cause)

    def observe(
        self,
        duration: float,
        stages: Mapping[str, float],
        causes: Iterable[str],
        actions: Iterable[str],
        executor: str,
    ) -> None:
        """One tick: seconds, seconds by stage, the cause of each fault, the kind of each action."""
        self._ticks.observe(duration)
        for stage, seconds in stages.items():
            self._stages.labels(stage).inc(max(0.0, seconds))
        for cause in causes:
            self._errors.labels(cause).inc()
        for kind in actions:
            self._actions.labels(kind, executor).inc()


class BoardCollector(Collector):
    def __init__(self, board: Board, now: Callable[[], float]) -> None:
        self._board = board
        self._now = now

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        board = self._board
        yield InfoMetricFamily(f"{PREFIX}build", "What runs.", {"version": board.version})
        yield _gauge("dry_run", "1 where nothing is written to the cluster.", board.dry_run)
        yield _gauge("leader", "1 where this daemon leads, 0 where it stands by.", board.leads)
        yield _gauge("policies", "Policies that run.", board.policies)
        yield _gauge(
            "config_last_reload_successful",
            "1 where the newest edit of the policies is what runs.",
            board.reload_good,
        )
        yield _gauge(
            "config_last_reload_success_timestamp_seconds",
            "When the running policies were taken.",
            board.reload_at,
        )
        yield InfoMetricFamily(
            f"{PREFIX}config", "The running policies.", {"hash": board.policies_hash}
        )
        lost = Metric(
            f"{PREFIX}journal_lost_lines", "Journal lines dropped for want of room.", "counter"
        )
        lost.add_sample(f"{PREFIX}journal_lost_lines_total", {}, float(board.journal_lost))
        yield lost
        if board.tick_at is not None:
            yield _gauge(
                "last_tick_timestamp_seconds", "When the last tick was decided.", board.tick_at
            )
        yield from self._policies()

    def _policies(self) -> Iterable[Metric]:
        families = {
            "desired": _family("desired_replicas", "Replicas that the decision wants."),
            "current": _family("current_replicas", "Replicas that the target has."),
            "ready": _family("ready_replicas", "Replicas that serve."),
            "age": _family("observation_age_seconds", "Age of what the decision was made from."),
            "sample": _family("oldest_sample_age_seconds", "Age of the oldest signal used."),
            "binding": _family("binding", "1 for the stage that had the last word.", "stage"),
            "hold": _family("hold", "1 while the policy holds, 0 otherwise."),
            "mode": _family("mode", "1 for the policy's mode.", "mode"),
        }
        for name, (suffix, text) in FIGURES.items():
            families[name] = _family(suffix, text)
        for decision in self._board.decisions:
            self._add(families, decision)
        return families.values()

    def _add(self, families: Mapping[str, GaugeMetricFamily], decision: Decision) -> None:
        labels = labels_of(decision)
        for name in ("desired", "current", "ready"):
            replicas = getattr(decision, name)
            if replicas is not None:  # unknown is no sample, never 0
                families[name].add_metric(labels, float(replicas))
        families["binding"].add_metric((*labels, decision.binding), 1.0)
        families["mode"].add_metric((*labels, decision.mode), 1.0)
        families["hold"].add_metric(labels, 0.0 if decision.hold is None else 1.0)
        for name in FIGURES:
            if name in decision.figures:
                families[name].add_metric(labels, decision.figures[name])
        if "oldestSample" in decision.figures:
            families["sample"].add_metric(labels, decision.figures["oldestSample"])
        observed = self._board.observed_at.get(decision.policy)
        if observed is not None:
            families["age"].add_metric(labels, max(0.0, self._now() - observed))


def labels_of(decision: Decision) -> tuple[str, str, str]:
    namespace, _, name = decision.policy.partition("/")
    return namespace, name, decision.target.name


def _family(name: str, text: str, *more: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, labels=(*LABELS, *more))


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, value=float(value))
