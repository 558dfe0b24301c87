"""SLA policies: YAML text in, frozen `model.Policy` out, or problems with their place."""

from __future__ import annotations

from autoscaler.policy.diagnostics import Problem
from autoscaler.policy.load import PolicySet, load, load_texts
from autoscaler.policy.schema import schema

__all__ = ["PolicySet", "Problem", "load", "load_texts", "schema"]
