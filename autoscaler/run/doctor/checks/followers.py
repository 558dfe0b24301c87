"""HPAs that follow `desired_replicas`: does anything stand between the decision and the size?"""

from __future__ import annotations

from collections.abc import Iterator

from autoscaler.model import Policy
from autoscaler.run.doctor.checks.autoscalers import readable
from autoscaler.run.doctor.checks.served import DESIRED, asks, name_of
from autoscaler.run.doctor.evidence import Evidence, Object
from autoscaler.run.doctor.finding import Said, check
from autoscaler.units import format_duration, parse_quantity

# `behavior.*.tolerance`: alpha in 1.33, on by default from 1.35.
SINCE = (1, 35)
# 1 of 10 replicas is exactly the usual tolerance, and that still counts as within.
FIRST_SWALLOWED = 10
INT32 = 2**31 - 1
DOWNSCALE_WINDOW = 300
DIRECTIONS = ("scaleUp", "scaleDown")


def following(evidence: Evidence) -> Iterator[tuple[Policy, Object]]:
    """Each policy with each HPA that follows its decision."""
    followers = {
        (ask.hpa["metadata"]["namespace"], ask.of): ask.hpa
        for ask in asks(readable(evidence.kube.autoscalers))
        if ask.metric == DESIRED
    }
    for policy in evidence.policies:
        target = policy.target
        hpa = followers.get((target.namespace, f"{target.kind}/{target.name}"))
        if hpa is not None:
            yield policy, hpa


@check("hpa-tolerance", "kubernetes", "policies")
def tolerance(evidence: Evidence) -> Iterator[Said]:
    """20 → 21 is 5 %: within the usual tolerance of 10 %, so an HPA stays at 20."""
    version = evidence.kube.version
    for _, hpa in following(evidence):
        largest = int(hpa["spec"]["maxReplicas"])
        behavior = hpa["spec"].get("behavior") or {}
        loose = [d for d in DIRECTIONS if _tolerance(behavior.get(d) or {}) != 0.0]
        if not loose:
            yield Said("ok", name_of(hpa), "tolerance 0 in both directions: follows to the letter")
        elif largest < FIRST_SWALLOWED:
            what = (
                f"has the usual tolerance of 10 %, but at most {largest} replicas: no step is lost"
            )
            yield Said("ok", name_of(hpa), what)
        else:
            yield _swallows(hpa, largest, version, loose)


def _swallows(hpa: Object, largest: int, version: tuple[int, int], loose: list[str]) -> Said:
    step = largest // 10
    what = (
        f"steps within 10 % are swallowed: at {largest} replicas a decision for "
        f"{largest - step} to {largest + step} changes nothing"
    )
    if version < SINCE:
        have, first = (".".join(map(str, v)) for v in (version, SINCE))
        what += f"; Kubernetes {have} drops `tolerance` (on by default from {first})"
        remedy = (
            "upgrade; or kube-controller-manager --horizontal-pod-autoscaler-tolerance=0, for all "
            "HPAs; or live with a target that is up to 10 % off"
        )
        return Said("warn", name_of(hpa), what, remedy)
    fields = ", ".join(f'"{direction}":{{"tolerance":"0"}}' for direction in loose)
    remedy = (
        f"kubectl patch hpa -n {hpa['metadata']['namespace']} {hpa['metadata']['name']} "
        f'--type=merge -p \'{{"spec":{{"behavior":{{{fields}}}}}}}\''
    )
    return Said("warn", name_of(hpa), what, remedy)


def _tolerance(rules: Object) -> float | None:
    given = rules.get("tolerance")
    return None if given is None else parse_quantity(str(given))


@check("hpa-behavior", "kubernetes", "policies")
def behavior(evidence: Evidence) -> Iterator[Said]:
    """The policy has windows and limits of its own: a second set delays what was decided."""
    for _, hpa in following(evidence):
        found = list(_delays(hpa["spec"].get("behavior")))
        for status_fail, what in found:
            remedy = "copy `behavior` from manifests/overlays/recommend/hpa.yaml"
            yield Said("fail" if status_fail else "warn", name_of(hpa), what, remedy)
        if not found:
            yield Said("ok", name_of(hpa), "adds no window and no limit of its own")


def _delays(given: Object | None) -> Iterator[tuple[bool, str]]:
    """(whether it stops scaling, what it does)"""
    rules = given or {}
    for direction in DIRECTIONS:
        part = rules.get(direction) or {}
        usual = DOWNSCALE_WINDOW if direction == "scaleDown" else 0
        window = part.get("stabilizationWindowSeconds")
        window = usual if window is None else window
        if window:
            yield False, f"{direction} waits {format_duration(float(window))} more"
        if part.get("selectPolicy") == "Disabled":
            yield True, f"{direction} is disabled"
        values = [p["value"] for p in part.get("policies") or () if p["type"] == "Pods"]
        if any(value > INT32 - 10_000 for value in values):
            yield True, f"{direction}: Pods {max(values)} overflows in the controller: no growth"
    if not (rules.get("scaleUp") or {}).get("policies"):
        yield False, "scaleUp has the usual limit: at most double, or 4 more, in 15 s"


@check("hpa-bounds", "kubernetes", "policies")
def bounds(evidence: Evidence) -> Iterator[Said]:
    for policy, hpa in following(evidence):
        low, high = int(hpa["spec"].get("minReplicas", 1)), int(hpa["spec"]["maxReplicas"])
        want = policy.replicas
        if low > want.min or high < want.max:
            what = f"allows {low} to {high}, policy {policy.key} wants {want.min} to {want.max}"
            remedy = f"set minReplicas: {want.min} and maxReplicas: {want.max}"
            yield Said("warn", name_of(hpa), what, remedy)
        else:
            yield Said("ok", name_of(hpa), f"its {low} to {high} leave room for {policy.key}")
