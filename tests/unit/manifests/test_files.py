"""What can be said of the manifests without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from autoscaler.act.nodepools.calls import COMPONENT
from autoscaler.act.refusal import LISTS, ROLE
from autoscaler.cli.run import command as run
from autoscaler.policy import load
from autoscaler.run.doctor.checks.access import READS, SCALES
from autoscaler.run.state_configmap import MOST_PARTS
from autoscaler.serve.access.api_service import NAMES
from autoscaler.serve.access.assembly import parse_self_signed
from autoscaler.serve.metrics_api.catalog import KEYS
from tests.unit.manifests.shipped import MANIFESTS, documents

YAML = sorted(MANIFESTS.rglob("*.yaml"))
POLICIES = [path for path in YAML if path.parent.name == "policies"]


def pod() -> dict[str, Any]:
    (deployment,) = documents(MANIFESTS / "base/deployment.yaml")
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def added_arguments(component: str = "metrics-api") -> list[str]:
    (patch,) = documents(MANIFESTS / "components" / component / "deployment-patch.yaml")
    return [str(step["value"]) for step in patch if "/args/" in step["path"]]


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: str(path.relative_to(MANIFESTS)))
def test_shipped_policies_are_right_without_a_warning(path: Path) -> None:
    found = load([path])
    assert found.problems == ()
    assert found.policies


def options_of_run() -> set[str]:
    assert isinstance(run, click.Command)
    return {option for parameter in run.params for option in parameter.opts}


def test_the_arguments_are_options_of_run() -> None:
    name, *given = pod()["containers"][0]["args"]
    assert name == "run"
    assert {argument.partition("=")[0] for argument in (*given, "--dry-run")} <= options_of_run()


@pytest.mark.parametrize("component", ["metrics-api", "high-availability"])
def test_a_components_arguments_are_options_of_run(component: str) -> None:
    added = added_arguments(component)
    assert {argument.partition("=")[0] for argument in added} <= options_of_run()


def test_the_election_is_allowed_what_its_arguments_name() -> None:
    """The lease and every part of the state, and no other object of ours."""
    added = dict(argument.partition("=")[::2] for argument in added_arguments("high-availability"))
    role, _ = documents(MANIFESTS / "components/high-availability/keeps-lease-and-state.yaml")
    names = {rule["resources"][0]: rule.get("resourceNames", []) for rule in role["rules"][:2]}
    assert names["leases"] == [added["--lease"]]
    kind, _, state = added["--state"].partition(":")
    assert kind == "configmap"
    parts = [state, *(f"{state}-{number}" for number in range(1, MOST_PARTS))]
    assert names["configmaps"] == parts
    assert all(rule["verbs"] == ["create"] for rule in role["rules"][2:])


def test_what_the_daemon_tells_a_reader_to_apply_is_shipped() -> None:
    assert COMPONENT == "manifests/components/nodepools"
    shipped = {
        (document["kind"], document["metadata"]["name"])
        for path in YAML
        for document in documents(path)
        if isinstance(document, dict) and document.get("kind") in ("ClusterRole", "Role")
    }
    assert {("ClusterRole", name) for name in (READS, SCALES, LISTS, ROLE)} <= shipped
    assert ("ClusterRole", "triton-autoscaler-sees-nodes") in shipped
    for component in ("scale", "high-availability", "nodepools"):
        assert (MANIFESTS / "components" / component / "kustomization.yaml").exists()


def test_the_container_gives_up_what_it_does_not_need() -> None:
    spec = pod()
    container = spec["containers"][0]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert not any("subPath" in mount for mount in container["volumeMounts"])


def test_what_it_writes_lies_on_a_volume() -> None:
    container = pod()["containers"][0]
    mounts = [m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")]
    files = [
        argument.partition("=")[2]
        for argument in container["args"]
        if argument.startswith(("--state=", "--journal="))
    ]
    assert len(files) == 2
    assert all(any(file.startswith(f"{mount}/") for mount in mounts) for file in files)


def test_no_role_has_a_wildcard_but_the_readers_of_metrics() -> None:
    for path in YAML:
        for document in documents(path):
            if not isinstance(document, dict) or document.get("kind") not in (
                "Role",
                "ClusterRole",
            ):
                continue
            for rule in document["rules"]:
                reads_metrics = all(g.endswith(".metrics.k8s.io") for g in rule["apiGroups"])
                assert reads_metrics or "*" not in rule["resources"]
                assert "*" not in rule["verbs"]
                assert "*" not in rule["apiGroups"]
                if "secrets" in rule["resources"]:
                    assert rule.get("resourceNames") or rule["verbs"] == ["create"]


def test_the_api_services_are_those_that_the_daemon_keeps() -> None:
    services = documents(MANIFESTS / "components/metrics-api/api-services.yaml")
    assert {service["metadata"]["name"] for service in services} == set(NAMES)
    (endpoint,) = documents(MANIFESTS / "components/metrics-api/service.yaml")
    (signed,) = [a for a in added_arguments() if a.startswith("--tls-self-signed=")]
    serving = parse_self_signed(signed.partition("=")[2])
    for service in services:
        spec = service["spec"]
        assert "insecureSkipTLSVerify" not in spec
        assert "caBundle" not in spec
        assert spec["service"]["name"] == endpoint["metadata"]["name"] == serving.service
        assert spec["service"]["namespace"] == serving.namespace
    rules = [
        rule
        for role in documents(MANIFESTS / "components/metrics-api/keeps-certificates.yaml")
        for rule in role.get("rules", ())
    ]
    assert any(rule.get("resourceNames") == [serving.secret] for rule in rules)
    assert any(set(rule.get("resourceNames", ())) == set(NAMES) for rule in rules)


def test_hpas_ask_for_metrics_that_we_serve() -> None:
    asked = set()
    for path in (*MANIFESTS.rglob("hpa.yaml"), *MANIFESTS.rglob("hpa-patch.yaml")):
        for document in documents(path):
            specs = (
                [{s["path"].rpartition("/")[2]: s["value"] for s in document}]
                if isinstance(document, list)
                else [document["spec"]]
            )
            for metric in specs[0]["metrics"]:
                asked.add(metric[metric["type"].lower()]["metric"]["name"])
    assert asked == {"avg_time_queue_us", "desired_replicas"}
    assert asked <= set(KEYS)
