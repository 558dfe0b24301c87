"""Each tool's files: which tool, which loop, which units."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autoscaler.model import Sla
from autoscaler.policy.profile import (
    Answer,
    Choice,
    Profile,
    ProfileError,
    capacity_at,
    parse_profile,
    read_profiles,
)
from autoscaler.policy.profile.choose import best, by_setting, dollars_per_million, judge
from autoscaler.policy.profile.join import one_sweep, with_gpus
from tests.conftest import RECORDINGS

# One row as `--verbose-csv --collect-metrics` writes it: `uuid:value;` and a comma at the end.
VERBOSE = """\
Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,\
Server Compute Input,Server Compute Infer,Server Compute Output,Client Recv,p50 latency,\
p90 latency,p95 latency,p99 latency,Avg latency,request/response,response wait,\
Avg GPU Utilization,Avg GPU Power Usage,Max GPU Memory Usage,Total GPU Memory
1,89,6,281,91,22,10504,295,3,11046,11281,11596,13743,11204,9,11168,\
GPU-a:0.25;GPU-b:0.045;,GPU-a:56.6;GPU-b:50;,GPU-a:8;GPU-b:8;,GPU-a:9;GPU-b:9;,
4,186,5,402,10153,32,10486,350,2,21616,22369,22667,24139,21431,7,21399,\
GPU-a:0.5;GPU-b:0.1;,GPU-a:56.6;GPU-b:50;,GPU-a:8;GPU-b:8;,GPU-a:9;GPU-b:9;,
"""
OF_2019 = """\
Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,Server Compute,\
Client Recv,p50 latency,p90 latency,p95 latency,p99 latency
1,163.6,69,1230,33,4767,9,6133,6191,6224,6415
2,208.6,180,1306,3299,4768,28,9482,9617,10746,10832
"""
INFERENCE = """\
Model,Batch,Concurrency,Model Config Path,Instance Group,Max Batch Size,Satisfies Constraints,\
Throughput (infer/sec),p99 Latency (ms)
flower,1,1,flower_config_0,1:GPU,8,Yes,100.0,10.0
flower,1,8,flower_config_0,1:GPU,8,Yes,400.0,22.0
flower,1,1,flower_config_1,2/GPU,8,Yes,110.0,10.0
flower,1,8,flower_config_1,2/GPU,8,Yes,700.0,13.0

"""
GPU = """\
Model,GPU UUID,Batch,Concurrency,Model Config Path,Instance Group,Satisfies Constraints,\
GPU Memory Usage (MB),GPU Utilization (%),GPU Power Usage (W)
flower,GPU-a,1,1,flower_config_1,2:GPU,Yes,822.0,20.0,55.8
flower,GPU-b,1,1,flower_config_1,2:GPU,Yes,822.0,24.0,55.8
flower,GPU-a,1,8,flower_config_1,2:GPU,Yes,822.0,60.0,55.6

"""


def only(text: str, **choice: Any) -> Profile:
    (profile,) = read_profiles(text, Choice(**choice)).profiles
    return profile


def test_verbose_csv_has_the_mean_the_queue_and_the_busiest_gpu() -> None:
    profile = only(VERBOSE)
    first = profile.points[0]
    assert (profile.mode, profile.tool, profile.batch) == ("closed", "perf_analyzer", 1)
    assert (first.load, first.requests_per_second, first.line) == (1, 89, 2)
    assert first.latency[0.99] == pytest.approx(0.013743)
    assert first.mean_latency == pytest.approx(0.011204)
    assert first.queue_time == pytest.approx(0.000091)
    assert [point.gpu_utilization for point in profile.points] == [0.25, 0.5]


def test_old_csv_with_one_compute_column_sums_its_parts_to_the_mean() -> None:
    assert only(OF_2019).points[0].mean_latency == pytest.approx(0.006108)


def test_gpu_columns_that_perf_analyzer_left_empty_are_not_measured() -> None:
    text = (
        "Concurrency,Inferences/Second,p99 latency,Avg GPU Utilization\n1,90,12000,\n2,95,22000,\n"
    )
    assert [point.gpu_utilization for point in only(text).points] == [None, None]


def test_rates_are_an_open_loop_and_concurrencies_a_closed_one() -> None:
    text = (RECORDINGS / "h200-bert-large-4gpu" / "rates.csv").read_text()
    assert only(text).mode == "open"
    found = capacity_at(only(text), Sla(latency=((0.95, 0.050),)))
    assert isinstance(found, Answer)
    # 1,534 + (50 - 41.113) / (68.591 - 41.113) of the way to 1,615
    assert found.requests_per_second == pytest.approx(1560.3, abs=0.1)


def test_inferences_become_requests_by_the_client_batch() -> None:
    head = "Concurrency,Inferences/Second,p50 latency,p99 latency\n"
    text = f"{head}1,353,11299,11994\n3,554,21628,22654\n"
    assert [p.requests_per_second for p in only(text, batch=4).points] == [88.25, 138.5]


def test_model_analyzer_rows_become_one_profile_a_configuration() -> None:
    reading = read_profiles(INFERENCE)
    assert reading.tool == "Model Analyzer"
    assert [str(profile.configuration) for profile in reading.profiles] == [
        "flower_config_0 (1 instance, max batch 8)",
        "flower_config_1 (2 instances, max batch 8)",  # older tables write 2/GPU
    ]
    verdicts = judge(reading.profiles, Sla(latency=((0.99, 0.016),)))
    assert best(verdicts)["flower"].requests_per_second == 700
    assert by_setting(verdicts, "instances") == {1: pytest.approx(250.0), 2: 700}
    assert by_setting(verdicts, "max_batch") == {8: 700}


@pytest.mark.parametrize("together", [True, False], ids=["one file", "two files"])
def test_the_table_of_gpus_belongs_to_the_table_of_latencies(together: bool) -> None:
    texts = [GPU + INFERENCE] if together else [GPU, INFERENCE]
    profiles = with_gpus([read_profiles(text) for text in texts])
    shares = {
        profile.configuration.name: [point.gpu_utilization for point in profile.points]
        for profile in profiles
    }
    assert shares == {"flower_config_0": [None, None], "flower_config_1": [0.24, 0.6]}


def test_a_column_says_its_unit() -> None:
    text = INFERENCE.replace("p99 Latency (ms)", "p99 Latency (us)").replace(".0\n", "000\n")
    assert read_profiles(text).profiles[0].points[0].latency[0.99] == pytest.approx(0.01)


def test_of_several_client_batches_the_user_names_one() -> None:
    settings = "flower_config_0,1:GPU,8,Yes"
    pairs = f"flower,2,1,{settings},200.0,10.0\nflower,2,8,{settings},800.0,22.0\n"
    text = INFERENCE.rstrip() + "\n" + pairs
    with pytest.raises(
        ProfileError, match="mixes client batches 1 and 2 of flower, from line 6 on"
    ):
        read_profiles(text)
    assert [profile.batch for profile in read_profiles(text, Choice(batch=2)).profiles] == [2]
    with pytest.raises(ProfileError, match="has no client batch 4"):
        read_profiles(text, Choice(batch=4))


def test_of_several_models_one_can_be_asked_for() -> None:
    text = INFERENCE + INFERENCE.replace("flower", "rose")
    assert len(read_profiles(text, Choice(model="rose")).profiles) == 2
    with pytest.raises(ProfileError, match="has no model tulip"):
        read_profiles(text, Choice(model="tulip"))


def request_log(mode: str = "request_rate", count: int = 200, **more: Any) -> dict[str, Any]:
    """Two loads; at load n requests leave each 1/n s and take 1 ms × their number mod 100."""
    experiments = []
    for load in (10, 100):
        step = 1_000_000_000 // load
        requests = [
            {
                "timestamp": i * step,
                "response_timestamps": [i * step + 500, i * step + 1_000_000 * (i % 100 + 1)],
            }
            for i in range(count)
        ]
        bounds = [0, count * step]
        experiments.append(
            {
                "experiment": {"mode": mode, "value": load},
                "requests": requests,
                "window_boundaries": bounds,
                **more,
            }
        )
    return {"experiments": experiments, "version": "", "service_kind": "triton"}


def test_the_request_log_gives_throughput_and_percentiles_to_the_last_response() -> None:
    profile = only(json.dumps(request_log()))
    assert (profile.mode, profile.tool) == ("open", "perf_analyzer --profile-export-file")
    assert [point.requests_per_second for point in profile.points] == [10, 100]
    # Of 200 sorted values 1, 1, 2, 2, …, 100, 100 ms rank 0.99 × 199 + 0.5 = 197 is 99 ms
    assert profile.points[0].latency[0.99] == pytest.approx(0.099)
    assert profile.points[0].mean_latency == pytest.approx(0.0505)


def test_without_windows_the_time_is_that_from_first_request_to_last_answer() -> None:
    document = request_log(window_boundaries=[])
    # The last of 200 leaves after 19.9 s and takes 100 ms
    assert only(json.dumps(document)).points[0].requests_per_second == pytest.approx(10.0)


def test_a_p99_of_fifty_requests_is_none() -> None:
    assert only(json.dumps(request_log(count=50))).quantiles() == [0.5, 0.9, 0.95]


def test_unanswered_requests_are_counted_out_and_told() -> None:
    document = request_log()
    for request in document["experiments"][0]["requests"][:20]:
        request["response_timestamps"] = []
    profile = only(json.dumps(document))
    assert profile.points[0].requests_per_second == 9
    assert profile.notes == ("At load 10 20 of 200 requests were not answered",)


def genai_run(concurrency: int, rate: float, p99: float, *, nested: bool = False) -> str:
    stimulus: dict[str, Any] = {"concurrency": concurrency}
    given = {"perf_analyzer": {"stimulus": stimulus}} if nested else stimulus
    latency = {"unit": "ms", "avg": p99 / 2, "p50": p99 / 2, "p99": p99, "min": 1, "std": 2}
    document = {
        "request_throughput": {"unit": "requests/sec", "avg": rate},
        "request_latency": latency,
        "input_config": {"model": "gpt2", **given},
    }
    return json.dumps(document)


def test_runs_of_genai_perf_join_to_a_sweep() -> None:
    runs = [genai_run(1, 2.0, 1000.0), genai_run(8, 10.0, 1600.0, nested=True)]
    readings = [read_profiles(run, source=f"{n}.json") for n, run in enumerate(runs)]
    profile = one_sweep(with_gpus(readings))
    assert (profile.tool, profile.configuration.model) == ("GenAI-Perf", "gpt2")
    found = capacity_at(profile, Sla(latency=((0.99, 1.3),)))
    assert isinstance(found, Answer)
    assert found.requests_per_second == pytest.approx(6.0)


def test_loops_do_not_join() -> None:
    rates = only("Request Rate,Inferences/Second,p99 latency\n100,100,9000\n")
    loop = only("Concurrency,Inferences/Second,p99 latency\n1,100,9000\n")
    with pytest.raises(ProfileError, match="is not of the same sweep"):
        one_sweep([rates, loop])


CONSOLE = "instances,concurrency,infer_per_sec,latency_us\n1,1,100,10000\n1,4,200,20000\n"


def test_figures_of_the_console_need_to_be_told_what_their_latency_is() -> None:
    with pytest.raises(ProfileError, match="does not say which statistic its latency_us is"):
        read_profiles(CONSOLE)
    profile = only(CONSOLE, latency_is=0.95)
    assert (profile.quantiles(), profile.configuration.instances) == ([0.95], 1)


def test_a_policy_reads_any_tool_whose_file_holds_one_sweep() -> None:
    one = INFERENCE.partition("flower,1,1,flower_config_1")[0]
    assert parse_profile(one).capacity(0.99, 0.016) == pytest.approx(250.0)
    assert parse_profile(json.dumps(request_log())).mode == "open"
    with pytest.raises(ProfileError, match="holds 2 sweeps, of several configurations"):
        parse_profile(INFERENCE)
    with pytest.raises(ProfileError, match="holds one load only"):
        parse_profile("Concurrency,Inferences/Second,p99 latency\n1,100,9000\n")
    with pytest.raises(ProfileError, match="has GPUs and no latencies"):
        parse_profile(GPU)


def test_a_million_requests_cost_what_nvidia_published() -> None:
    # BERT base on a T4 at $0.54 an hour: 465 queries/s; on 96 CPUs at $4.56: 12
    assert dollars_per_million(465, 0.54) == pytest.approx(0.3226, abs=1e-4)
    assert dollars_per_million(12, 4.56) == pytest.approx(105.6, abs=0.1)
    assert dollars_per_million(465, 0.54, gpus=2) == pytest.approx(0.6452, abs=1e-4)
