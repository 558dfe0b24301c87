from __future__ import annotations

import re
from random import Random

from prometheus_client.parser import text_string_to_metric_families

from autoscaler.sim.pages import page
from autoscaler.sim.server import ServerProfile, TritonServer
from autoscaler.sim.workload import demo_workload
from autoscaler.sim.world import World

LABELS = {"model": "bert_large", "version": "1"}


def busy(rate: float = 1200.0, **profile: int) -> TritonServer:
    server = TritonServer(Random(1), 0.0, ServerProfile(**profile))
    server.rate = rate
    for second in range(1, 11):
        server.advance(second)
        server.sample_gpu(second)
    return server


def values(text: str) -> dict[str, float]:
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "reason" not in sample.labels
    }


def test_the_page_has_the_families_help_texts_and_order_of_a_real_one(reference_data):
    """But for what that server had switched on (summaries, cache) or was too old for (pinned)."""
    real = (reference_data / "scrapes" / "triton_datadog_fixture_t4_summaries.txt").read_text()
    heads = [line for line in real.splitlines() if line.startswith("#")]
    heads = [line for line in heads if not re.search("summary|cache_", line.split()[2])]
    mine = [line for line in page(busy(), "m", "u").splitlines() if line.startswith("#")]
    assert [line for line in mine if "pinned_memory" not in line] == heads


def test_the_page_has_every_series_of_the_recorded_server(recordings):
    import gzip

    path = recordings / "h200-bert-large-4gpu" / "scrapes.om.gz"
    with gzip.open(path, "rt") as lines:
        names = {
            match[1]
            for line in lines
            if (match := re.match(r"(nv_\w+)\{", line)) and "summary" not in match[1]
        }
    text = page(busy(), "bert_large", "GPU-0")
    assert set(re.findall(r"^(nv_\w+)", text, re.MULTILINE)) == names


def test_labels_stand_as_triton_prints_them():
    text = page(busy(), "bert_large", "GPU-0")
    assert 'nv_inference_request_success{model="bert_large",version="1"} ' in text
    assert (
        'nv_inference_request_failure{model="bert_large",reason="REJECTED",version="1"} 0' in text
    )
    assert 'nv_gpu_utilization{gpu_uuid="GPU-0"} ' in text
    assert "\nnv_cpu_utilization 0." in text


def test_the_counters_agree_with_each_other():
    found = values(page(busy(), "m", "u"))
    parts = ("queue", "compute_input", "compute_infer", "compute_output")
    total = sum(found[f"nv_inference_{part}_duration_us_total"] for part in parts)
    assert abs(found["nv_inference_request_duration_us_total"] - total) < 5
    assert found["nv_inference_count_total"] == found["nv_inference_request_success_total"]
    assert 1 < found["nv_inference_count_total"] / found["nv_inference_exec_count_total"] <= 32


def test_refusals_at_a_full_queue_are_in_no_counter():
    server = busy(rate=4000.0, max_queue=256)
    failures = [
        sample.value
        for family in text_string_to_metric_families(page(server, "m", "u"))
        for sample in family.samples
        if "reason" in sample.labels
    ]
    assert server.tally.refused > 10_000
    assert failures == [0, 0, 0, 0]


def test_the_same_seed_gives_the_same_pages():
    def pages(seed: int) -> list[str]:
        world = World(demo_workload(seed).rate, seed=seed, replicas=3, crashes=[40.0])
        seen = []
        for second in range(0, 90, 15):
            world.advance(world.start + second)
            world.scale(3 + second // 30)
            present = world.fleet.present()
            seen += [pod.name + page(pod.server, "m", "u") for pod in present if pod.server]
        return seen

    assert pages(5) == pages(5)
    assert pages(5) != pages(6)
