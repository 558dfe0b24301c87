"""Files that give no profile: each with its line, its reason and what to do."""

from __future__ import annotations

import json

import pytest

from autoscaler.policy.profile import Choice, ProfileError, read_profiles
from tests.conftest import RECORDINGS
from tests.unit.policy.test_profile_tools import INFERENCE, VERBOSE, request_log

H200 = (RECORDINGS / "h200-bert-large-1gpu" / "perf.csv").read_text()
HEAD, *ROWS = H200.splitlines(keepends=True)
SHORT = (
    "Concurrency,Inferences/Second,p50 latency,p99 latency\n1,122,8146,9055\n48,1631,29275,39338\n"
)

FAULTS = {
    "empty": ("", None, "is empty, it has no rows", "has no row: measure longer"),
    "blank lines": ("\n \n", None, "is empty", "measure longer"),
    "header only": (HEAD, 1, "has a header and no rows", "perf_analyzer -s 60 -r 3 -p 3000"),
    "cut off in a row": (
        H200[:-50],
        7,
        r"has \d+ of 15 fields in line 7: it is cut off",
        "run the tool again",
    ),
    "cut off in a number": (
        SHORT[:-4],
        3,
        r"says that p99 \(39 ms\)|says that p99 \(0.039 ms\) is below p50 .* in line 3: it is cut",
        "as perf_analyzer wrote it",
    ),
    "cut off in quotes": (HEAD + '1,"122', 2, "is not CSV", "the file that the tool wrote"),
    "a word for a number": (
        H200.replace("1631.14", "fast"),
        4,
        r"no number under Inferences/Second in line 4 \('fast'\)",
        "measure that load again",
    ),
    "thousands separators": (
        SHORT.replace("48,1631,", "48,1,631,"),
        3,
        "has 5 fields under 4 columns in line 3",
        "without thousands separators",
    ),
    "semicolons": (SHORT.replace(",", ";"), 1, "parts its columns by semicolons", "with commas"),
    "tabs": (SHORT.replace(",", "\t"), 1, "parts its columns by tabs", "with commas"),
    "milliseconds": (
        "Concurrency,Inferences/Second,p50 latency,p99 latency\n1,122,8.1,9.1\n48,1631,29.3,39.3\n",
        None,
        "has latencies in another unit: throughput × latency makes 0.00099 times",
        "perf_analyzer writes µs",
    ),
    "one row in milliseconds": (
        SHORT + "64,1677,37.4,52.3\n",
        4,
        "mixes units: in line 4 throughput × latency makes 0.063 requests under way, where 64",
        "in one unit",
    ),
    "one column in milliseconds": (
        SHORT.replace("9055", "9.1").replace("39338", "39.3"),
        2,
        r"p99 \(0.0091 ms\) is below p50 \(8.146 ms\) in line 2: it is cut off, or mixes units",
        "as perf_analyzer wrote it",
    ),
    "client batch not given": (
        "Concurrency,Inferences/Second,p50 latency\n1,353,11299\n3,554,21628\n",
        None,
        "counts inferences, and throughput × latency reads like 4 of them a request, not 1",
        "--batch 4",
    ),
    "client batch of an open loop": (
        "Request Rate,Inferences/Second,p99 latency\n10,81,9000\n20,159,9500\n",
        None,
        "reads like 8 of them a request",
        "--batch 8",
    ),
    "several client batches": (
        "Concurrency,Inferences/Second,p50 latency\n1,90,11100\n2,93,21500\n2,366,21750\n",
        4,
        "mixes client batches: line 2 reads like 1 inference a request, line 4 like 4",
        "keep one batch a file",
    ),
    "a trace": ("timestamp_s,requests\n0,42\n60,62\n", 1, "has a row a moment", "goes to simulate"),
    "another tool": (
        "Endpoint,RPS,Median\n/infer,10,5\n",
        1,
        r"is of another tool \(columns Endpoint, RPS, Median\)",
        "perf_analyzer -f",
    ),
    "the console's output": (
        "*** Measurement Settings ***\n  Batch size: 1\n",
        1,
        "is perf_analyzer's console output",
        "-f FILE.csv",
    ),
    "GenAI-Perf's CSV": (
        "Metric,avg,p99\nRequest Latency (ms),8,9\n\nMetric,Value\nRequest Count,2\n",
        1,
        "does not say at which load",
        "--join",
    ),
    "models measured together": (
        INFERENCE.replace("flower,1,1", '"flower,rose",1,1'),
        2,
        "has models measured together in line 2",
        "each by itself",
    ),
    "no percentile": (
        INFERENCE.replace("p99 Latency (ms)", "RAM Usage (MB)"),
        1,
        "has no percentile of latency",
        "perf_latency_p99",
    ),
    "GPU shares in percent": (
        VERBOSE.replace("GPU-a:0.5;", "GPU-a:50;"),
        3,
        "has 'GPU-a:50' under Avg GPU Utilization in line 3",
        "a share of 0 to 1",
    ),
    "JSON cut off": (json.dumps(request_log())[:-30], 1, "is JSON that is cut off", "again"),
    "not JSON": ("{'experiments': []}", 1, "is not JSON", "again"),
    "JSON of another tool": (
        '{"results": []}',
        1,
        r"no tool that is read here \(results\)",
        "give",
    ),
    "JSON without experiments": ('{"experiments": []}', None, "holds no experiment", "again"),
    "JSON of custom intervals": (
        json.dumps(request_log(mode="custom_intervals")),
        None,
        "has an experiment of mode 'custom_intervals'",
        "--request-rate-range",
    ),
    "JSON without its requests": (
        '{"experiments": [{"experiment": {"mode": "concurrency", "value": 1}}]}',
        None,
        r"an experiment \(number 1\) without what it should have: 'requests'",
        "again",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_says_where_why_and_what_to_do(name: str) -> None:
    text, line, reason, remedy = FAULTS[name]
    with pytest.raises(ProfileError, match=reason) as caught:
        read_profiles(text)
    assert caught.value.line == line
    assert remedy in caught.value.remedy


def test_a_batch_that_was_not_there_is_refused() -> None:
    with pytest.raises(ProfileError, match="reads like 1 inference a request at most, not 8"):
        read_profiles(SHORT, Choice(batch=8))


def test_rows_far_beyond_saturation_are_no_fault_of_units() -> None:
    # ResNet50 at concurrency 1,024: 38/s × 3.49 s = 133 requests of 1,024; windows were too short
    rows = "Concurrency,Inferences/Second,p50 latency\n1,101,9899\n64,260,219073\n1024,38,3488188\n"
    assert len(read_profiles(rows).profiles[0].points) == 3
