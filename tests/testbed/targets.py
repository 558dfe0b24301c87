"""Scrape targets that come and go while Prometheus runs (`file_sd_configs`)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Targets:
    """`labels` stand in for what relabelling takes from Kubernetes: namespace, pod and so on."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._labels: dict[str, dict[str, str]] = {}
        self._write()

    def add(self, target: str, labels: Mapping[str, str]) -> None:
        self._labels[target] = dict(labels)
        self._write()

    def remove(self, target: str) -> None:
        del self._labels[target]
        self._write()

    def scrape_config(self, job: str, **more: Any) -> dict[str, Any]:
        # Prometheus watches the file; the interval is only its fallback.
        sd = {"files": [str(self.file)], "refresh_interval": "1s"}
        return {"job_name": job, "file_sd_configs": [sd], **more}

    def _write(self) -> None:
        groups = [
            {"targets": [target], "labels": labels} for target, labels in self._labels.items()
        ]
        # Prometheus must never read half a file: it would drop every target.
        fresh = self.file.with_suffix(".fresh")
        fresh.write_text(json.dumps(groups))
        fresh.rename(self.file)
