"""`doctor`: does this Prometheus and this cluster have what the policies need? Reads only."""

from __future__ import annotations

from autoscaler.run.doctor.examination import CHECKS, examine
from autoscaler.run.doctor.finding import Finding, exit_code

__all__ = ["CHECKS", "Finding", "examine", "exit_code"]
