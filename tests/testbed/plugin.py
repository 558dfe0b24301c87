"""pytest: real parts as fixtures; what could not be had is skipped aloud, and fails in CI."""

import os
import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.testbed import parts
from tests.testbed.control_plane import ControlPlane
from tests.testbed.karpenter import Karpenter
from tests.testbed.kwok import Kwok
from tests.testbed.parts import (
    ControlPlaneBinaries,
    KarpenterInstall,
    PartUnavailable,
    PerfAnalyzerInstall,
    PrometheusBinaries,
    TritonInstall,
)

_T = TypeVar("_T")
_PROPERTY = "unavailable_part"


@pytest.fixture(scope="session")
def prometheus_binaries(pytestconfig: pytest.Config) -> PrometheusBinaries:
    return _aloud(pytestconfig, parts.ensure_prometheus)


@pytest.fixture(scope="session")
def triton_install(pytestconfig: pytest.Config) -> TritonInstall:
    return _aloud(pytestconfig, parts.ensure_triton)


@pytest.fixture(scope="session")
def perf_analyzer_install(pytestconfig: pytest.Config) -> PerfAnalyzerInstall:
    return _aloud(pytestconfig, parts.ensure_perf_analyzer)


@pytest.fixture(scope="session", params=["prometheus-3", "prometheus-debian"])
def prometheus_versions(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config
) -> PrometheusBinaries:
    """Both Prometheus versions, one after the other."""
    if request.param == "prometheus-3":
        return _aloud(pytestconfig, parts.ensure_prometheus)
    found = parts.debian_prometheus()
    if found is None:
        raise PartUnavailable(
            "Debian's Prometheus 2.42",
            "/usr/bin/prometheus or /usr/bin/promtool is not there",
            "apt-get install prometheus",
            optional=True,
        )
    return found


@pytest.fixture(scope="session")
def control_plane_binaries(pytestconfig: pytest.Config) -> ControlPlaneBinaries:
    return _aloud(pytestconfig, parts.ensure_control_plane)


@pytest.fixture(scope="session")
def control_plane(control_plane_binaries: ControlPlaneBinaries) -> Iterator[ControlPlane]:
    """One for all tests, with an HPA that looks each second.

    A test that ends a part of it, or rotates its certificates, makes one of its own.
    """
    with ControlPlane(control_plane_binaries, hpa_sync_period="1s") as running:
        yield running


@pytest.fixture(scope="session")
def kwok_binary(pytestconfig: pytest.Config) -> Path:
    return _aloud(pytestconfig, parts.ensure_kwok)


@pytest.fixture(scope="session")
def kwok(kwok_binary: Path, control_plane: ControlPlane) -> Iterator[Kwok]:
    """With four nodes of 8 GPUs."""
    with Kwok(kwok_binary, control_plane) as running:
        running.add_gpu_nodes(4)
        yield running


@pytest.fixture(scope="session")
def karpenter_install(pytestconfig: pytest.Config) -> KarpenterInstall:
    return _aloud(pytestconfig, parts.ensure_karpenter)


@pytest.fixture(scope="module")
def karpenter(
    karpenter_install: KarpenterInstall, control_plane: ControlPlane, kwok: Kwok
) -> Iterator[Karpenter]:
    """Beside kwok, which keeps its nodes Ready and runs their pods. It has no pool yet.

    For one module, and then nothing of it is left: in other modules a Pending pod stays Pending.
    """
    with Karpenter(karpenter_install, control_plane) as running:
        yield running
        running.clear()


@pytest.fixture
def fresh_namespace(control_plane: ControlPlane) -> Iterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    control_plane.create_namespace(name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


def _aloud(config: pytest.Config, ensure: Callable[[], _T]) -> _T:
    # A build takes minutes: its progress must pass pytest's capture, or it looks like a hang.
    capture = config.pluginmanager.getplugin("capturemanager")
    open_air: AbstractContextManager[None] = (
        capture.global_and_fixture_disabled() if capture else nullcontext()
    )
    with open_air:
        return ensure()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, PartUnavailable):
        # As a property of the report it also survives the way back from an xdist worker.
        report.user_properties.append((_PROPERTY, [error.part, error.reason, error.remedy]))
        if error.optional or not _in_ci():
            path, line, _ = item.location
            report.outcome = "skipped"
            report.longrepr = (path, (line or 0) + 1, f"Skipped: {error.part} is unavailable")
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    missed: dict[tuple[str, str, str], int] = {}
    for part in _unavailable(terminalreporter):
        missed[part] = missed.get(part, 0) + 1
    if not missed:
        return
    terminalreporter.section("real parts that were not met", sep="=", red=True, bold=True)
    for (name, reason, remedy), count in sorted(missed.items()):
        tests = "1 test did" if count == 1 else f"{count} tests did"
        terminalreporter.write_line(f"{name}: {tests} not run for it", red=True, bold=True)
        for label, text in (("why", reason), ("remedy", remedy)):
            terminalreporter.write_line(f"  {label}: " + text.replace("\n", "\n    "))


def _unavailable(reporter: pytest.TerminalReporter) -> Iterator[tuple[str, str, str]]:
    for reports in reporter.stats.values():
        for report in reports:
            properties: list[tuple[str, Any]] = getattr(report, "user_properties", [])
            for name, value in properties:
                if name == _PROPERTY:
                    part, reason, remedy = value
                    yield part, reason, remedy


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"true", "1"}
