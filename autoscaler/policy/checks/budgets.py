"""GPU budgets against the policies they name."""

from __future__ import annotations

from collections.abc import Iterator

from autoscaler.policy.budgets import BudgetEntry
from autoscaler.policy.diagnostics import Finding, Problem, did_you_mean
from autoscaler.policy.entry import Entry
from autoscaler.policy.registry import declare

declare(
    "budget-unknown-policy",
    "a GpuBudget names a policy that is not among those given.",
    "Its GPUs would be kept for nobody, and the policy that was meant goes uncapped.",
)
declare(
    "budget-policy-twice",
    "a GpuBudget names a policy twice.",
    "Only one priority can be meant.",
)
declare(
    "budget-floors",
    "the floors of a GpuBudget need more GPUs than it has.",
    "Not all of them can be kept.",
)
declare(
    "budget-below-minimum",
    "the `replicas.min` of its policies need more GPUs than a GpuBudget has.",
    "Minimum and budget cannot both be kept: the minimum wins, and the budget is exceeded.",
    "warning",
)
declare(
    "duplicate-budget",
    "two GpuBudgets have the same name in one namespace.",
    "Decisions name the budget that bound them: it must be one.",
)


def review_budgets(budgets: list[BudgetEntry], entries: list[Entry]) -> list[Problem]:
    policies = {f"{e.namespace}/{e.document.metadata.name}": e for e in entries}
    found: list[Problem] = []
    seen: dict[tuple[str, str], BudgetEntry] = {}
    for budget in budgets:
        found += [budget.problem(check, finding) for check, finding in _alone(budget, policies)]
        first = seen.setdefault((budget.namespace, budget.document.metadata.name), budget)
        if first is not budget:
            place = f"{first.file}:{first.tree.mark(('metadata', 'name')).line}"
            finding = Finding(
                ("metadata", "name"), f"a budget of this name is already at {place}", "rename one"
            )
            found.append(budget.problem("duplicate-budget", finding))
    return found


def _alone(budget: BudgetEntry, policies: dict[str, Entry]) -> Iterator[tuple[str, Finding]]:
    seen: set[str] = set()
    floors = minimums = 0
    for index, key in enumerate(budget.share_keys()):
        route = ("spec", "policies", index, "name")
        if key in seen:
            yield "budget-policy-twice", Finding(route, f"{key} is named twice", "delete one")
            continue
        seen.add(key)
        entry = policies.get(key)
        if entry is None:
            close = did_you_mean(key, policies)
            remedy = f"did you mean {close}?" if close else "give its file too, or correct the name"
            yield "budget-unknown-policy", Finding(route, f"there is no policy {key}", remedy)
            continue
        gpus = entry.spec.nodes.gpus_per_replica if entry.spec.nodes else 1
        floors += gpus * budget.document.spec.policies[index].floor
        minimums += gpus * entry.spec.replicas.min
    have = budget.document.spec.gpus
    if floors > have:
        message = f"the floors need {floors} GPUs and the budget has {have}"
        yield "budget-floors", Finding(("spec", "gpus"), message, "lower floors, or raise gpus")
    elif minimums > have:
        message = f"the minimums (replicas.min) need {minimums} GPUs and the budget has {have}"
        yield (
            "budget-below-minimum",
            Finding(("spec", "gpus"), message, "lower replicas.min, or raise gpus"),
        )
