"""`kind: GpuBudget`: a cap on the GPUs that several policies may use together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from autoscaler import model
from autoscaler.policy.diagnostics import Finding, Problem
from autoscaler.policy.documents import API_VERSION, Metadata
from autoscaler.policy.part import Part
from autoscaler.policy.scalars import Count, Name, PositiveCount
from autoscaler.policy.source import Tree, problem_at

KIND = "GpuBudget"


class SharePart(Part):
    """One policy under the budget."""

    name: Name = Field(description="Name of the policy.")
    namespace: Name | None = Field(None, description="Default: that of the budget.")
    priority: Count = Field(0, description="Higher is served first. Equals share by turns.")
    floor: Count = Field(
        0, description="Replicas that it always may have, whatever the priorities. Default: 0."
    )


class BudgetSpec(Part):
    """The budget itself."""

    gpus: PositiveCount = Field(description="GPUs that the policies below may use together.")
    policies: list[SharePart] = Field(description="Who shares them.", min_length=1)


class BudgetDocument(Part):
    """A cap on the GPUs of several policies, with priorities and floors."""

    api_version: Annotated[Literal["triton-autoscaler/v1alpha1"], BeforeValidator(str)] = Field(
        description=f"`{API_VERSION}`."
    )
    kind: Annotated[Literal["GpuBudget"], BeforeValidator(str)] = Field(description=f"`{KIND}`.")
    metadata: Metadata = Field(description="Names the budget.")
    spec: BudgetSpec = Field(description="The budget itself.")


@dataclass(frozen=True)
class BudgetEntry:
    """One budget on its way through the checks."""

    file: str
    tree: Tree
    document: BudgetDocument

    @property
    def namespace(self) -> str:
        return self.document.metadata.namespace or "default"

    def share_keys(self) -> list[str]:
        """namespace/name of each policy named, in order."""
        return [
            f"{share.namespace or self.namespace}/{share.name}"
            for share in self.document.spec.policies
        ]

    def problem(self, check: str, finding: Finding) -> Problem:
        mark = self.tree.mark(finding.route, finding.on_key)
        return problem_at(check, self.file, mark, finding.message, finding.remedy)


def compile_budget(entry: BudgetEntry) -> model.GpuBudget:
    shares = zip(entry.share_keys(), entry.document.spec.policies, strict=True)
    return model.GpuBudget(
        entry.namespace,
        entry.document.metadata.name,
        entry.document.spec.gpus,
        tuple(model.BudgetShare(key, share.priority, share.floor) for key, share in shares),
    )
