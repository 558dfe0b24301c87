"""How Prometheus finds pods through the real API server (`kubernetes_sd_configs`)."""

import json
from collections.abc import Sequence
from typing import Any

from tests.testbed.control_plane import ControlPlane

_ACCOUNT = "monitoring/prometheus"
_METRICS_PORT = 8002


def pod_discovery(
    control_plane: ControlPlane,
    *,
    job: str = "triton",
    namespaces: Sequence[str] = (),
    labels: str = "",
    metrics_port: int = _METRICS_PORT,
    **more: Any,
) -> dict[str, Any]:
    """A scrape config for the pods of `namespaces` (all by default) with `labels` (a selector).

    Series get the labels that the Prometheus Operator gives them: namespace, pod, container.
    """
    discovered: dict[str, Any] = {"role": "pod", "kubeconfig_file": _login(control_plane)}
    if namespaces:
        discovered["namespaces"] = {"names": list(namespaces)}
    if labels:
        discovered["selectors"] = [{"role": "pod", "label": labels}]
    return {
        "job_name": job,
        "kubernetes_sd_configs": [discovered],
        "relabel_configs": [
            {
                "source_labels": ["__meta_kubernetes_pod_phase"],
                "regex": "Pending|Succeeded|Failed",
                "action": "drop",
            },
            # A pod is one target for each port that it declares: made alike, they become one.
            {
                "source_labels": ["__meta_kubernetes_pod_ip"],
                "regex": "(.+)",
                "target_label": "__address__",
                "replacement": f"$1:{metrics_port}",
            },
            _copied("namespace", "namespace"),
            _copied("pod_name", "pod"),
            _copied("pod_container_name", "container"),
        ],
        **more,
    }


def _copied(meta: str, label: str) -> dict[str, Any]:
    return {"source_labels": [f"__meta_kubernetes_{meta}"], "target_label": label}


def _login(control_plane: ControlPlane) -> str:
    namespace, name = _ACCOUNT.split("/")
    account = {"namespace": namespace, "name": name}
    role = "testbed-prometheus"
    rbac = "rbac.authorization.k8s.io"
    pods = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": role},
            "rules": [pods],
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": role},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", **account}],
        },
    ]
    control_plane.apply("\n---\n".join(json.dumps(one) for one in objects))
    return str(control_plane.kubeconfig_for(service_account=_ACCOUNT))
