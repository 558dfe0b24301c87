"""May it do what the policies' modes need? Asked of the API server, not guessed from roles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from autoscaler.model import Policy
from autoscaler.observe.cluster import PLURALS
from autoscaler.run.doctor.evidence import Evidence, Right, Unread
from autoscaler.run.doctor.finding import Said, check

READS = "triton-autoscaler-reads-targets"
SCALES = "triton-autoscaler-scales-targets"


def needed(policies: Iterable[Policy]) -> tuple[Right, ...]:
    """What the daemon does for these policies; each right once."""
    rights: dict[Right, None] = {}
    for policy in policies:
        for right in _of(policy):
            rights[right] = None
    return tuple(rights)


def _of(policy: Policy) -> Iterator[Right]:
    target = policy.target
    group = target.api_version.rpartition("/")[0]
    plural = PLURALS.get((target.api_version, target.kind), f"{target.kind.lower()}s")
    namespace = target.namespace
    yield Right("get", group, f"{plural}/scale", namespace, "to know the replicas")
    watched = ((group, plural), ("", "pods")) if group == "apps" else (("", "pods"),)
    for owner, resource in watched:
        yield Right("list", owner, resource, namespace, "to know what lives")
        yield Right("watch", owner, resource, namespace, "to know it without asking each tick")
    if policy.mode == "recommend":
        yield from _serving()
    if policy.mode == "scale":
        yield Right("update", group, f"{plural}/scale", namespace, "to write the replicas")
        for verb in ("list", "watch"):
            hpas = "horizontalpodautoscalers"
            yield Right(verb, "autoscaling", hpas, namespace, "to see other writers")
            yield Right(verb, "", "nodes", None, "to see which are about to go")
        yield Right("patch", "", "pods", namespace, "to say which pods go first")
        for verb in ("create", "patch"):
            yield Right(verb, "events.k8s.io", "events", namespace, "to say what it did")


def _serving() -> Iterator[Right]:
    yield Right("create", "authentication.k8s.io", "tokenreviews", None, "to know who asks")
    yield Right(
        "create", "authorization.k8s.io", "subjectaccessreviews", None, "to know who may ask"
    )
    name = "extension-apiserver-authentication"
    for verb in ("get", "list", "watch"):
        yield Right(verb, "", "configmaps", "kube-system", "to trust the API server's proxy", name)


@check("rights", "kubernetes", "policies")
def rights(evidence: Evidence) -> Iterator[Said]:
    kube = evidence.kube
    allowed = [right for right, answer in kube.rights.items() if answer is True]
    for right, answer in kube.rights.items():
        if isinstance(answer, Unread):
            yield Said("unknown", kube.who, f"may it {right}? {answer.reason}")
        elif answer is False:
            what = f"may not {right}, needed {right.reason}"
            yield Said("fail", kube.who, what, _remedy(right, kube.who))
    if allowed and len(allowed) == len(kube.rights):
        yield Said("ok", kube.who, f"may do all {len(allowed)} things that the modes need")


def _remedy(right: Right, who: str) -> str:
    account = who.removeprefix("system:serviceaccount:")
    if account == who:
        account = "triton-autoscaler:triton-autoscaler"
    if right.resource == "nodes":
        return (
            "kubectl create clusterrolebinding triton-autoscaler-sees-nodes "
            f"--clusterrole=triton-autoscaler-sees-nodes --serviceaccount={account}"
        )
    if right.namespace is None:
        return (
            "add manifests/components/metrics-api to your overlay (it binds system:auth-delegator)"
        )
    if right.namespace == "kube-system":
        return (
            "kubectl create rolebinding triton-autoscaler-auth-reader -n kube-system "
            f"--role=extension-apiserver-authentication-reader --serviceaccount={account}"
        )
    looks = right.verb in {"get", "list", "watch"}
    role = READS if looks and right.resource != "horizontalpodautoscalers" else SCALES
    return (
        f"kubectl create rolebinding {role} -n {right.namespace} --clusterrole={role} "
        f"--serviceaccount={account}"
    )
