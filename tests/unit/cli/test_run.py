"""`plan` and `run --once` for people, and recorded time; against a source that does as told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autoscaler.cli import cli
from autoscaler.run import app
from tests.unit.cli.fleet import POLICY, api_server
from tests.unit.run.world import FakeSource

PROMETHEUS = ["--prometheus", "http://prometheus:9090"]


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> FakeSource:
    fake = FakeSource(155.0, 155.0)
    monkeypatch.setattr(app, "_source", lambda _: fake)
    return fake


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A laptop with policies in ./policies and no Kubernetes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    for name in ("PROMETHEUS_URL", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "flower.yaml").write_text(POLICY)


def invoke(*args: str, **kwargs: object) -> Result:
    return CliRunner().invoke(cli, list(args), **kwargs)  # type: ignore[arg-type]


def test_a_plan_is_a_table_a_sentence_and_the_flip(source: FakeSource) -> None:
    shown = invoke("plan", *PROMETHEUS)
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[1].split() == ["default/flower", "2", "4", "↑", "2", "demand"]
    assert "Scale up 2 → 4: demand: 310 requests/s" in shown.stdout
    assert "What would change it: " in shown.stdout
    assert "No Kubernetes configuration found" in shown.stderr
    assert source.closed


def test_a_plan_for_programs(source: FakeSource) -> None:
    shown = invoke("plan", *PROMETHEUS, "--no-kubernetes", "-o", "json")
    assert json.loads(shown.stdout)["desired"] == 4
    assert shown.stderr == ""


def test_a_prometheus_that_is_down_is_a_runtime_error_with_the_hold_shown(
    source: FakeSource,
) -> None:
    source.failed = "http://prometheus:9090 refused the connection"
    shown = invoke("plan", *PROMETHEUS)
    assert shown.exit_code == 3
    assert "default/flower" in shown.stdout
    assert shown.stderr.endswith("Error: http://prometheus:9090 refused the connection\n")


def test_a_target_nobody_knows_is_a_runtime_error(source: FakeSource) -> None:
    source.target = "rose"
    shown = invoke("plan", *PROMETHEUS)
    assert shown.exit_code == 3
    assert "Error: nothing can be decided: " in shown.stderr


def test_where_the_signals_come_from_must_be_said() -> None:
    shown = invoke("plan")
    assert shown.exit_code == 2
    assert "Give --prometheus URL (or set PROMETHEUS_URL)" in shown.stderr


def test_prometheus_url_in_the_environment_will_do(source: FakeSource) -> None:
    assert invoke("plan", env={"PROMETHEUS_URL": "http://prometheus:9090"}).exit_code == 0


def test_scrape_on_the_line_beats_prometheus_in_the_environment(source: FakeSource) -> None:
    scrape = ["--scrape", "default/flower-0=http://127.0.0.1:1/metrics"]
    source.windows = type(source.windows)(0.001, 1.0)
    assert invoke("plan", *scrape, env={"PROMETHEUS_URL": "http://p:9090"}).exit_code == 0
    assert invoke("plan", *scrape, *PROMETHEUS).exit_code == 2


def test_options_have_variables_of_their_own(source: FakeSource, tmp_path: Path) -> None:
    (tmp_path / "policies").rename(tmp_path / "elsewhere")
    nowhere = invoke("plan", *PROMETHEUS)
    assert nowhere.exit_code == 2
    assert "There is no folder policies here: give -f" in nowhere.stderr
    env = {"TRITON_AUTOSCALER_PLAN_POLICIES": str(tmp_path / "elsewhere")}
    assert invoke("plan", *PROMETHEUS, env=env).exit_code == 0


@pytest.mark.parametrize("policies", ["nowhere", "empty"])
def test_no_policies_is_a_problem_not_a_success(tmp_path: Path, policies: str) -> None:
    (tmp_path / "empty").mkdir()
    shown = invoke("plan", *PROMETHEUS, "-f", policies)
    assert shown.exit_code == 1
    assert policies in shown.stderr


def test_a_namespace_without_policies_is_named(source: FakeSource) -> None:
    shown = invoke("plan", *PROMETHEUS, "-n", "ml")
    assert (shown.exit_code, "no policy in namespace ml" in shown.stderr) == (1, True)


def test_a_kubeconfig_that_is_not_there_is_a_runtime_error(source: FakeSource) -> None:
    shown = invoke("plan", *PROMETHEUS, "--kubeconfig", "nowhere")
    assert shown.exit_code == 3
    assert "--no-kubernetes" in shown.stderr


def test_replicas_come_from_kubernetes_where_there_is_one(
    source: FakeSource, tmp_path: Path
) -> None:
    answers = {
        "/apis/apps/v1/namespaces/default/deployments/flower/scale": {
            "metadata": {"resourceVersion": "7"},
            "spec": {"replicas": 3},
            "status": {"selector": "app=flower"},
        },
        "/api/v1/namespaces/default/pods": {"metadata": {}, "items": []},
        "/apis/apps/v1/namespaces/default/deployments": {
            "metadata": {},
            "items": [
                {
                    "metadata": {"name": "flower", "namespace": "default", "resourceVersion": "7"},
                    "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "flower"}}},
                }
            ],
        },
    }
    with api_server(answers) as url:
        cluster = {"name": "c", "cluster": {"server": url}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        config = {
            "clusters": [cluster],
            "contexts": [context],
            "users": [{"name": "u", "user": {}}],
        }
        (tmp_path / "config").write_text(json.dumps({**config, "current-context": "c"}))
        shown = invoke("plan", *PROMETHEUS, "--kubeconfig", "config", "-o", "json")
    assert shown.exit_code == 0, (shown.stderr, shown.exception)
    decision = json.loads(shown.stdout)
    assert (decision["current"], decision["ready"]) == (3, 0)


@pytest.fixture
def scaling(tmp_path: Path) -> None:
    text = POLICY.replace("  replicas:", "  mode: scale\n  replicas:")
    (tmp_path / "policies" / "flower.yaml").write_text(text)


def test_once_without_a_cluster_says_that_nothing_is_scaled(
    source: FakeSource, tmp_path: Path, scaling: None
) -> None:
    given = ["run", "--once", *PROMETHEUS, "--no-kubernetes", "--journal", "journal"]
    shown = invoke(*given)
    assert shown.exit_code == 0
    assert "but there is no Kubernetes to write to" in shown.stderr
    assert "Scale up 2 → 4" in shown.stdout
    assert len((tmp_path / "journal").read_text().splitlines()) == 1


def test_a_policy_in_mode_scale_is_told_that_a_dry_run_scales_nothing(
    source: FakeSource, scaling: None
) -> None:
    shown = invoke("run", "--once", "--dry-run", *PROMETHEUS, "--no-kubernetes")
    assert "mode scale (default/flower)" in shown.stderr
    assert "but --dry-run writes nothing" in shown.stderr


def test_a_policy_that_only_looks_is_told_nothing_about_writing(source: FakeSource) -> None:
    assert "writ" not in invoke("run", "--once", *PROMETHEUS, "--no-kubernetes").stderr


def test_recorded_time_prints_what_changed(source: FakeSource) -> None:
    given = ["run", "--dry-run", *PROMETHEUS, "--step", "15s"]
    given += ["--from", "2026-11-21T10:00:00Z", "--to", "2026-11-21T10:05:00Z"]
    shown = invoke(*given)
    assert shown.exit_code == 0
    assert len(source.reads) == 21
    assert shown.stdout.count("2026-11-21T10:00:00Z  default/flower") == 1
    assert shown.stdout.count("Scale up 2 → 4") == 1
    assert shown.stderr.endswith("21 ticks, 1 changed decisions.\n")
    lines = invoke(*given, "-o", "json").stdout.splitlines()
    assert len(lines) == 21


def test_recorded_time_that_cannot_be_read_at_all_is_a_runtime_error(source: FakeSource) -> None:
    source.failed = "nothing there"
    given = ["run", "--dry-run", *PROMETHEUS, "--from", "1000", "--to", "1030"]
    assert invoke(*given).exit_code == 3


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--from", "1000"], "both --from and --to"),
        (["--from", "1000", "--to", "900"], "is before --from"),
        (["--from", "1000", "--to", "1100", "--once"], "give one"),
    ],
)
def test_recorded_time_is_checked(more: list[str], says: str) -> None:
    shown = invoke("run", *PROMETHEUS, *more)
    assert (shown.exit_code, says in shown.stderr) == (2, True)


def test_pages_have_no_past() -> None:
    scrape = ["--scrape", "default/flower-0=http://127.0.0.1:1/metrics"]
    shown = invoke("run", *scrape, "--from", "1000", "--to", "1100")
    assert (shown.exit_code, "have no past" in shown.stderr) == (2, True)
