"""Recordings into a Prometheus data folder."""

import gzip
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

_LIMIT_S = 120.0


class BackfillFailed(Exception):  # noqa: N818 - named for what happened
    pass


def backfill(promtool: Path, openmetrics_gz: Path, into: Path) -> None:
    """Writes the recording's blocks; start a Prometheus with `storage=into` only afterwards."""
    with TemporaryDirectory(prefix="testbed-backfill-") as scratch:
        plain = Path(scratch) / "recording.om"
        with gzip.open(openmetrics_gz) as packed, plain.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
        done = subprocess.run(
            [promtool, "tsdb", "create-blocks-from", "openmetrics", plain, into],
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    # promtool 2.42 says "no blocks" with status 0 when it found no sample.
    if done.returncode != 0 or not any(into.glob("*/meta.json")):
        raise BackfillFailed(f"{openmetrics_gz}: {done.stderr or done.stdout}")
