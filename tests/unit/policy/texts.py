"""Policy text for tests: the least that is right, with what a test is about added to `spec`."""

from __future__ import annotations

from autoscaler.model import Policy
from autoscaler.policy import PolicySet, load_texts

HEAD = "apiVersion: triton-autoscaler/v1alpha1\nkind: ScalingPolicy\n"


def policy_text(*lines: str, name: str = "flower", sla: str = "{queueTime: 50ms}") -> str:
    """Lines are indented into `spec`."""
    spec = [f"target: {{name: {name}}}", "replicas: {min: 1, max: 7}", f"sla: {sla}", *lines]
    body = "".join(f"  {line}\n" for block in spec for line in block.split("\n"))
    return f"{HEAD}metadata: {{name: {name}}}\nspec:\n{body}"


def load_text(text: str, **more: str) -> PolicySet:
    return load_texts({"flower.yaml": text, **more})


def compiled(*lines: str, sla: str = "{queueTime: 50ms}") -> Policy:
    found = load_text(policy_text(*lines, sla=sla))
    assert found.ok, found.problems
    return found.policies[0]


def checks(found: PolicySet) -> list[str]:
    return [problem.check for problem in found.problems]
