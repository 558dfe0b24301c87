"""Who measures the GPUs, and is it right for these pods?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from autoscaler.model import DutyCycle, Missing, Policy
from autoscaler.observe.gpu import MIG, NAMES, NO_DUTY, ON_MIG
from autoscaler.run.doctor.checks.series import live_pods
from autoscaler.run.doctor.evidence import Evidence
from autoscaler.run.doctor.finding import Said, Status, check, count


@check("duty-cycle", "prometheus", "policies")
def duty_cycle(evidence: Evidence) -> Iterator[Said]:
    for policy in evidence.policies:
        yield _of(evidence, policy)


def _of(evidence: Evidence, policy: Policy) -> Said:
    needed = any(isinstance(objective, DutyCycle) for objective in policy.objectives)
    bad: Status = "fail" if needed else "ok"
    unused = "" if needed else " (no objective of this policy needs it)"
    duty, live = evidence.seen.duty, live_pods(evidence, policy)
    if isinstance(duty, Missing) or isinstance(live, Missing) or not live:
        why = next((x.missing for x in (duty, live) if isinstance(x, Missing)), "no live pod")
        return Said("unknown" if needed else "ok", policy.key, why + unused)
    sources = Counter(duty[key][1] for key in live if key in duty)
    remedy = "let dcgm-exporter export DCGM_FI_PROF_GR_ENGINE_ACTIVE, or go by queueTime"
    if sources[MIG]:
        return Said(bad, policy.key, ON_MIG.missing + unused, remedy if needed else "")
    if not sources:
        return Said(bad, policy.key, NO_DUTY.missing + unused, remedy if needed else "")
    named = ", ".join(f"{NAMES.get(s, s)} for {n}" for s, n in sources.most_common())
    told = sum(sources.values())
    if told < len(live) and needed:
        what = f"known of {told} of {count(len(live), 'pod')}: {named}"
        return Said("warn", policy.key, what, "is dcgm-exporter on every GPU node?")
    return Said("ok", policy.key, f"from {named} of {count(len(live), 'pod')}")
