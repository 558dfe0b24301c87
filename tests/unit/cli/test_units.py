"""Units on the command line."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from autoscaler.cli.units import Duration, Listen, Size, Time, endpoints, rfc3339


def test_times_are_rfc_3339_or_unix() -> None:
    at = 1795248926.0
    assert Time().convert("2026-11-21T08:15:26Z", None, None) == at
    assert Time().convert("2026-11-21T16:15:26+08:00", None, None) == at
    assert Time().convert("1795248926.5", None, None) == at + 0.5
    assert rfc3339(at) == "2026-11-21T08:15:26Z"


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        (Time(), "2026-11-21T08:15:26", "no time zone: write 2026-11-21T08:15:26Z"),
        (Time(), "yesterday", "write 2026-11-21T10:00:00Z"),
        (Time(), "nan", "not a time"),
        (Time(), "1e300", "not a time"),
        (Duration(), "5", "write 5s for seconds"),
        (Duration(), "0s", "no time at all"),
        (Size(), "64 megs", "not a quantity"),
        (Size(), "64", "too small"),
        (Listen(), "localhost", "write 127.0.0.1:9797, or none"),
        (Listen(), "localhost:70000", "write 127.0.0.1:9797"),
    ],
)
def test_faults_say_what_to_write(kind: click.ParamType[object], text: str, says: str) -> None:
    with pytest.raises(click.BadParameter, match=says):
        kind.convert(text, None, None)


def test_sizes_and_addresses() -> None:
    assert Size().convert("64MiB", None, None) == 64 * 2**20
    assert Listen().convert("[::1]:80", None, None) == ("::1", 80)
    assert Listen().convert(":80", None, None) == ("0.0.0.0", 80)
    assert Listen().convert("none", None, None) is None


def test_endpoints_on_the_line_and_in_files(tmp_path: Path) -> None:
    file = tmp_path / "pods"
    file.write_text("# the fleet\n\ndefault/a-0=http://127.0.0.1:8002/metrics\n")
    found = endpoints((str(file), "ml/b-0=http://h/metrics?x=1"))
    assert found == {
        ("default", "a-0"): "http://127.0.0.1:8002/metrics",
        ("ml", "b-0"): "http://h/metrics?x=1",
    }


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a-0=http://h", "write NAMESPACE/POD=URL"),
        ("default/a-0=h:8002", "must begin with http://"),
        ("default/a=http://h\ndefault/a=http://i", "named twice"),
    ],
)
def test_a_bad_endpoint_names_its_line(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "pods"
    file.write_text(line + "\n")
    with pytest.raises(click.BadParameter, match=says) as error:
        endpoints((str(file),))
    assert f"{file}:" in str(error.value.param_hint)


def test_a_missing_file_of_endpoints_is_named() -> None:
    with pytest.raises(click.BadParameter, match="neither NAMESPACE/POD=URL nor a file"):
        endpoints(("/nowhere",))
