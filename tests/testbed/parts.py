"""Every part, from its pinned source to a path that can be run."""

import os
import platform
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import cache, go
from tests.testbed.unavailable import PartUnavailable
from tests.testbed.venvs import site_packages, venv_key, venv_of

__all__ = [
    "ControlPlaneBinaries",
    "KarpenterInstall",
    "KubernetesBinaries",
    "PartUnavailable",
    "PerfAnalyzerInstall",
    "PrometheusBinaries",
    "TritonInstall",
    "debian_prometheus",
    "ensure_control_plane",
    "ensure_etcd",
    "ensure_karpenter",
    "ensure_kubernetes",
    "ensure_kwok",
    "ensure_perf_analyzer",
    "ensure_prometheus",
    "ensure_triton",
    "places",
]

_MODULES = Path(__file__).parent / "modules"
_PROMETHEUS = go.Module(
    "prometheus",
    _MODULES / "prometheus",
    tuple(f"github.com/prometheus/prometheus/cmd/{name}" for name in ("prometheus", "promtool")),
    (
        "-trimpath",
        # Without the two dozen clouds' service discovery the build takes about half as long. The
        # web UI stays out too: its assets need node and are not in the module.
        "-tags=netgo,remove_all_sd,enable_kubernetes_sd",
        # The module is v0.315.0; the program calls itself 3.15.0.
        "-ldflags=-s -w -X github.com/prometheus/common/version.Version=3.15.0",
    ),
)
_KUBERNETES_COMMANDS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
# Unset, the server says v0.0.0-master and clients that look at its version go astray.
_KUBERNETES_VERSION = " ".join(
    f"-X k8s.io/component-base/version.{name}={value}"
    for name, value in (
        ("gitVersion", "v1.36.3"),
        ("gitMajor", "1"),
        ("gitMinor", "36"),
        ("gitTreeState", "clean"),
    )
)
_KUBERNETES = go.Module(
    "kubernetes",
    _MODULES / "kubernetes",
    tuple(f"k8s.io/kubernetes/cmd/{name}" for name in _KUBERNETES_COMMANDS),
    ("-trimpath", f"-ldflags=-s -w {_KUBERNETES_VERSION}"),
)
_ETCD = go.Module(
    "etcd", _MODULES / "etcd", ("go.etcd.io/etcd/server/v3",), ("-trimpath", "-ldflags=-s -w")
)
_KWOK = go.Module(
    "kwok", _MODULES / "kwok", ("sigs.k8s.io/kwok/cmd/kwok",), ("-trimpath", "-ldflags=-s -w")
)
_KARPENTER = go.Module(
    "karpenter",
    _MODULES / "karpenter",
    ("sigs.k8s.io/karpenter/kwok",),
    ("-trimpath", "-ldflags=-s -w"),
    source="sigs.k8s.io/karpenter",
    files=("pkg/apis/crds", "kwok/apis/crds"),
)
_TRITON_WHEELS = ("nvidia-pytriton==0.7.0", "numpy==2.2.6", "tritonclient==2.50.0")


@dataclass(frozen=True)
class PrometheusBinaries:
    prometheus: Path
    promtool: Path


@dataclass(frozen=True)
class KubernetesBinaries:
    apiserver: Path
    controller_manager: Path
    scheduler: Path
    kubectl: Path


@dataclass(frozen=True)
class ControlPlaneBinaries:
    kubernetes: KubernetesBinaries
    etcd: Path


@dataclass(frozen=True)
class KarpenterInstall:
    controller: Path
    crds: tuple[Path, ...]
    """NodePool, NodeClaim, CapacityBuffer and those of the kwok provider."""


@dataclass(frozen=True)
class TritonInstall:
    server: Path
    backends: Path
    python_bin: Path
    libpython: Path | None
    """The folder of libpython, where the wheel does not bring its own."""

    def environment(self) -> dict[str, str]:
        # The Python backend's stub ignores PYTHONPATH and PYTHONHOME: it takes the first
        # `python3` on PATH for its own, and with it that venv's site-packages (numpy).
        found = {"PATH": f"{self.python_bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
        if self.libpython is not None:
            found["LD_LIBRARY_PATH"] = str(self.libpython)
        return found


@dataclass(frozen=True)
class PerfAnalyzerInstall:
    binary: Path
    libraries: Path


def ensure_prometheus() -> PrometheusBinaries:
    home = go.build("Prometheus 3", _PROMETHEUS)
    return PrometheusBinaries(home / "prometheus", home / "promtool")


def ensure_kubernetes() -> KubernetesBinaries:
    home = go.build("Kubernetes 1.36", _KUBERNETES)
    return KubernetesBinaries(*(home / name for name in _KUBERNETES_COMMANDS))


def ensure_etcd() -> Path:
    # Go names a command after the last folder of its path.
    return go.build("etcd", _ETCD) / "server"


def ensure_control_plane() -> ControlPlaneBinaries:
    return ControlPlaneBinaries(ensure_kubernetes(), ensure_etcd())


def ensure_kwok() -> Path:
    return go.build("kwok", _KWOK) / "kwok"


def ensure_karpenter() -> KarpenterInstall:
    """With its kwok provider, whose command bears that name: its machines are API objects."""
    home = go.build("Karpenter 1.14", _KARPENTER)
    return KarpenterInstall(home / "kwok", tuple(sorted(home.glob("*.yaml"))))


def debian_prometheus() -> PrometheusBinaries | None:
    """Debian 12's Prometheus 2.42: the older server that many clusters still run."""
    found = PrometheusBinaries(Path("/usr/bin/prometheus"), Path("/usr/bin/promtool"))
    return found if found.prometheus.exists() and found.promtool.exists() else None


def ensure_triton() -> TritonInstall:
    venv = _triton_venv("Triton")
    server = site_packages(venv) / "pytriton" / "tritonserver"
    _put_stub_in_place(server)
    return TritonInstall(
        server=server / "bin" / "tritonserver",
        backends=server / "backends",
        python_bin=venv / "bin",
        libpython=_libpython(),
    )


def ensure_perf_analyzer() -> PerfAnalyzerInstall:
    venv = _triton_venv("perf_analyzer")
    libraries = venv / "lib" / "perf_analyzer"
    _link_libraries(site_packages(venv) / "nvidia_pytriton.libs", libraries)
    install = PerfAnalyzerInstall(venv / "bin" / "perf_analyzer", libraries)
    probe = subprocess.run(
        [install.binary, "--version"],
        env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if probe.returncode != 0:
        raise PartUnavailable(
            "perf_analyzer",
            f"it does not start: {(probe.stderr or probe.stdout).strip()}",
            "install the library it names (Debian: libssl3, zlib1g, libstdc++6)",
        )
    return install


def places() -> dict[str, Path]:
    """Where each part lies or will lie; builds nothing."""
    triton = cache.place("triton", venv_key(_TRITON_WHEELS))
    built = (_PROMETHEUS, _KUBERNETES, _ETCD, _KWOK, _KARPENTER)
    return {
        **{module.name: cache.place(module.name, go.build_key(module)) for module in built},
        "triton": triton,
        "perf_analyzer": triton,
    }


def _triton_venv(part: str) -> Path:
    return venv_of(part, "triton", _TRITON_WHEELS, "about 90 MB")


def _put_stub_in_place(server: Path) -> None:
    """The stub for exactly this interpreter's minor version: another one loads and then crashes."""
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    stubs = server / "python_backend_stubs"
    stub = stubs / minor / "triton_python_backend_stub"
    if not stub.is_file():
        there = ", ".join(sorted(folder.name for folder in stubs.iterdir()))
        raise PartUnavailable(
            "Triton",
            f"no Python backend stub for Python {minor} (there are {there})",
            "run the tests with Python 3.11, 3.12 or 3.13",
        )
    _link(server / "backends" / "python" / stub.name, stub)


def _link_libraries(wheel_libraries: Path, folder: Path) -> None:
    """The two libraries that perf_analyzer asks for under names the wheel has decorated."""
    folder.mkdir(exist_ok=True)
    for wanted, pattern in (
        ("libb64.so.0d", "libb64-*.so.0d"),
        ("libcudart.so.12", "libcudart-*.so.12*"),
    ):
        _link(folder / wanted, next(wheel_libraries.glob(pattern)))


def _link(link: Path, target: Path) -> None:
    # A name of its own, then a rename: two processes may do this at once.
    own = link.with_name(f"{link.name}.{os.getpid()}")
    own.symlink_to(target)
    own.rename(link)


def _libpython() -> Path | None:
    if sys.version_info >= (3, 13):
        # The wheel brings libpython 3.13 itself.
        return None
    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    folders = [Path(sys.base_prefix) / "lib"]
    folders += [
        Path(folder)
        for folder in (
            sysconfig.get_config_var("LIBDIR"),
            f"/usr/lib/{platform.machine()}-linux-gnu",
        )
        if folder
    ]
    for folder in folders:
        if (folder / name).exists():
            return folder
    raise PartUnavailable(
        "Triton",
        f"{name} is in none of {', '.join(map(str, folders))}",
        "use a Python built with --enable-shared, or install Debian's libpython3 for its version",
    )
