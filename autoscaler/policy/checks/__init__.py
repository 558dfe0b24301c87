"""The checks of meaning. Importing this package fills the registry."""

from __future__ import annotations

from autoscaler.policy import form
from autoscaler.policy.checks import (
    bounds,
    budgets,
    capacity,
    conduct,
    neighbours,
    nodes,
    objectives,
    queries,
    schedules,
)
from autoscaler.policy.diagnostics import Problem
from autoscaler.policy.entry import Entry
from autoscaler.policy.registry import POLICY_CHECKS, SET_CHECKS

__all__ = [
    "bounds",
    "budgets",
    "capacity",
    "conduct",
    "form",
    "neighbours",
    "nodes",
    "objectives",
    "queries",
    "review",
    "schedules",
]


def review(entries: list[Entry]) -> list[Problem]:
    """Everything that is wrong or doubtful with these policies, alone and together."""
    problems = [
        entry.problem(name, finding)
        for entry in entries
        for name, function in POLICY_CHECKS.items()
        for finding in function(entry)
    ]
    for name, together in SET_CHECKS.items():
        problems += [entry.problem(name, finding) for entry, finding in together(entries)]
    return problems
