"""What the API server said to a write, as a reason and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscaler.act.executor import ActionError

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeError

CONFLICT = 409
# Of the shipped manifests: what may be written, and what listed, in a namespace with targets.
ROLE = "triton-autoscaler-scales-targets"
LISTS = "triton-autoscaler-reads-targets"


def not_looked(where: str, error: KubeError, verb: str = "get") -> ActionError:
    """The look right before the write failed: nothing was written."""
    if error.status == 0 or error.status >= 500:
        text = f"{where} could not be looked at again: {error}; nothing was written"
        return ActionError(text, unanswered=error.status == 0)
    return _answered(where, error, verb)


def not_written(where: str, error: KubeError, verb: str = "update") -> ActionError:
    """The write itself failed, or nobody knows: then the next tick sees what came of it."""
    if error.status == 0 or error.status >= 500:
        text = f"{where}: whether it was written is not known ({error}); observed again next tick"
        return ActionError(text, unanswered=error.status == 0)
    return _answered(where, error, verb)


def _answered(where: str, error: KubeError, verb: str) -> ActionError:
    said = str(error)
    if error.status == CONFLICT:
        return ActionError(f"{where} changed meanwhile ({said}); observed again next tick")
    if error.status == 404:
        return ActionError(f"{where} is not there any more ({said}); observed again next tick")
    if error.status == 401:
        return ActionError(
            f"{where}: Kubernetes does not know us ({said}): renew the token, see `kubectl auth "
            "whoami`"
        )
    if error.status == 429:
        return ActionError(f"{where}: the API server is busy ({said}); tried again next tick")
    if "exceeded quota" in said:
        return ActionError(
            f"{where}: a quota refuses it ({said}): raise it (`kubectl describe quota`) or lower "
            "the policy's replicas.max"
        )
    if error.status == 403 and f"cannot {verb} resource" in said:
        base = verb == "list"
        folder, role = ("base", LISTS) if base else ("components/scale", ROLE)
        return ActionError(
            f"{where}: not allowed to {verb} it ({said}): apply manifests/{folder} and "
            f"bind ClusterRole {role} in that namespace"
        )
    return ActionError(
        f"{where}: refused by a rule of the cluster ({said}): change the rule or the policy; "
        "tried again next tick"
    )
