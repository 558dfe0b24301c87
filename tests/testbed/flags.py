"""The command lines of the control plane, beyond the obvious."""

from pathlib import Path

from tests.testbed.credentials import FRONT_PROXY_USER, SERVICE_RANGE, Credentials

API, ETCD, ETCD_PEER, CONTROLLERS, SCHEDULER = PORTS = (6443, 2379, 2380, 10257, 10259)


def etcd(address: str, data: Path) -> list[str]:
    client, peer = f"http://{address}:{ETCD}", f"http://{address}:{ETCD_PEER}"
    return [
        f"--data-dir={data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def apiserver(address: str, pki: Credentials) -> list[str]:
    return [
        f"--etcd-servers=http://{address}:{ETCD}",
        f"--bind-address={address}",
        f"--advertise-address={address}",
        f"--secure-port={API}",
        # The reconciler would publish the server's own address, and loopback is refused there.
        "--endpoint-reconciler-type=none",
        *_serving(pki),
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=RBAC",
        f"--service-account-issuer=https://{address}:{API}",
        f"--service-account-key-file={pki.service_account_key}",
        f"--service-account-signing-key-file={pki.service_account_key}",
        *_aggregation(pki),
        "--allow-privileged=true",
    ]


def controller_manager(address: str, pki: Credentials, hpa_sync_period: str) -> list[str]:
    return [
        *_client(address, pki, "system:kube-controller-manager", CONTROLLERS),
        "--use-service-account-credentials=true",
        f"--root-ca-file={pki.cluster_ca.certificate}",
        f"--service-account-private-key-file={pki.service_account_key}",
        f"--horizontal-pod-autoscaler-sync-period={hpa_sync_period}",
    ]


def scheduler(address: str, pki: Credentials) -> list[str]:
    return _client(address, pki, "system:kube-scheduler", SCHEDULER)


def _client(address: str, pki: Credentials, user: str, port: int) -> list[str]:
    kubeconfig = pki.kubeconfig(user)
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={address}",
        f"--secure-port={port}",
        *_serving(pki),
        "--leader-elect=false",
    ]


def _serving(pki: Credentials) -> list[str]:
    return [
        f"--tls-cert-file={pki.serving.certificate}",
        f"--tls-private-key-file={pki.serving.key}",
        f"--client-ca-file={pki.cluster_ca.certificate}",
    ]


def _aggregation(pki: Credentials) -> list[str]:
    return [
        f"--requestheader-client-ca-file={pki.front_proxy_bundle}",
        f"--requestheader-allowed-names={FRONT_PROXY_USER}",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-uid-headers=X-Remote-Uid",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki.front_proxy_client.certificate}",
        f"--proxy-client-key-file={pki.front_proxy_client.key}",
        "--enable-aggregator-routing=false",
    ]
