"""The policy that a profile makes: valid, with the profile's own number, nothing to tune."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from autoscaler.model import Policy, Sla
from autoscaler.policy import load_texts
from autoscaler.policy.profile import Choice, ProfileError, read_profiles
from autoscaler.policy.profile.choose import Verdict, judge
from autoscaler.policy.profile.skeleton import policy_text
from tests.conftest import RECORDINGS
from tests.unit.policy.test_profile_tools import INFERENCE

H200 = (RECORDINGS / "h200-bert-large-1gpu" / "perf.csv").read_text()
P99 = Sla(latency=((0.99, 0.050),))


def verdict(text: str, sla: Sla, **choice: int) -> Verdict:
    profiles = read_profiles(text, Choice(**choice), "sweep.csv").profiles
    return judge(profiles, sla)[0]


def skeleton(found: Verdict, sla: Sla, text: str, file: str = "sweep.csv", **more: float) -> str:
    return policy_text(
        found,
        sla,
        namespace="default",
        name="bert-large",
        file=file,
        text=text,
        command="triton-autoscaler profile sweep.csv",
        max_replicas=8,
        headroom=0.2,
        **more,
    )


def policy(text: str, **files: str) -> Policy:
    found = load_texts({"policy.yaml": text, "sweep.csv": H200, **files})
    assert found.ok, found.problems
    (made,) = found.policies
    return made


def test_it_names_the_file_where_a_policy_reads_the_same_in_it() -> None:
    text = skeleton(verdict(H200, P99), P99, H200)
    made = policy(text)
    assert "profile: sweep.csv  # relative to this file" in text
    assert made.capacity is not None
    assert made.capacity.requests_per_second == pytest.approx(1668.8, abs=0.1)
    assert made.sla.latency == ((0.99, 0.05),)
    assert (made.mode, made.replicas.min, made.replicas.max) == ("observe", 1, 8)


def test_it_gives_the_number_where_the_stricter_bound_is_the_queue_time() -> None:
    sla = Sla(queue_time=0.015, latency=((0.99, 0.050),))
    made = policy(text := skeleton(verdict(H200, sla), sla, H200))
    # 1,631 + (15 - 12.537) / (19.878 - 12.537) × 45.67 = 1,646.46, and never up
    assert "requestsPerSecond: 1646.4  # from sweep.csv" in text
    assert made.sla.queue_time == 0.015


def test_it_gives_the_number_where_the_file_holds_other_configurations() -> None:
    sla = Sla(latency=((0.99, 0.016),))
    text = skeleton(verdict(INFERENCE, sla), sla, INFERENCE)
    assert "requestsPerSecond: 700  # from sweep.csv" in text
    policy(text)


def test_it_gives_the_number_where_the_client_batch_came_from_the_user() -> None:
    head = "Concurrency,Inferences/Second,p50 latency,p99 latency\n"
    csv = f"{head}1,353,11299,11994\n3,554,21628,22654\n"
    sla = Sla(latency=((0.99, 0.1),))
    text = skeleton(verdict(csv, sla, batch=4), sla, csv)
    assert "requestsPerSecond: 138.5  # from sweep.csv" in text
    policy(text)


def test_limits_keep_their_last_digit() -> None:
    sla = Sla(latency=((0.5, 0.0605), (0.99, 1.234)))
    made = policy(skeleton(verdict(H200, sla), sla, H200))
    assert made.sla.latency == ((0.5, 0.0605), (0.99, 1.234))


@pytest.mark.parametrize("file", ["a b.csv", "x: y.csv", "#1.csv", "-.csv", "ünï.csv", "'.csv"])
def test_hostile_names_of_files_stay_names(file: str) -> None:
    text = skeleton(verdict(H200, P99), P99, H200, file)
    made = policy(text, **{file: H200})
    assert made.capacity is not None
    assert made.capacity.requests_per_second == pytest.approx(1668.8, abs=0.1)


def test_words_that_are_no_text_in_yaml_are_quoted() -> None:
    text = skeleton(verdict(H200, P99), P99, H200, "yes")
    assert yaml.safe_load(text)["spec"]["capacity"]["profile"] == "yes"


def test_the_price_is_in_it_only_when_given() -> None:
    assert "cost" not in skeleton(verdict(H200, P99), P99, H200)
    assert "  cost: {gpuHour: 11.06}" in skeleton(verdict(H200, P99), P99, H200, gpu_hour=11.06)


def test_no_line_is_too_long_to_read_and_comments_say_how_the_number_came_about() -> None:
    text = skeleton(verdict(H200, P99), P99, H200)
    assert max(len(line) for line in text.splitlines()) <= 100
    words = " ".join(text.replace("#", " ").split())
    assert (
        "p99 50ms is reached between concurrency 48 (1,631/s, p99 39.3ms, line 4) and 64" in words
    )
    assert "Closed loop: " in words


def test_without_an_answer_there_is_no_policy() -> None:
    sla = Sla(latency=((0.99, 0.005),))
    with pytest.raises(ProfileError, match="even its lowest load"):
        skeleton(verdict(H200, sla), sla, H200)


def test_validate_reads_it_from_disk(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from autoscaler.cli.validate import command

    (tmp_path / "sweep.csv").write_text(H200)
    (tmp_path / "policy.yaml").write_text(skeleton(verdict(H200, P99), P99, H200))
    result = CliRunner().invoke(command, ["--strict", str(tmp_path / "policy.yaml")])
    assert (result.exit_code, result.stdout[:11]) == (0, "no problems")
