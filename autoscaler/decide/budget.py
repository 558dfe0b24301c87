"""Who gets the GPUs when there are not enough for all: floors first, then by priority, by turns.

Two steps. *Shares*: what each should have, whatever it has now. *Caps*: what each may have at
once. GPUs change hands only when they are free: one that has more than its share is capped to the
share, and shrinks as ordinary scale-in lets it (nothing is taken from under load); one that has
less may grow into what nobody holds. So the sum of what is there and what is allowed never
exceeds the budget, except by what was there above it before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from autoscaler.model import BudgetShare, Cap, GpuBudget, Step


@dataclass(frozen=True, slots=True)
class Claim:
    """What a policy wants and has, in replicas; `wanted` is its decision without any cap.

    Nobody else can use the GPUs of `now` (spec.replicas, or the live pods where they are more) nor
    those of `going`, its terminating pods; nor can it grow into the latter itself.
    """

    policy: str  # namespace/name
    wanted: int
    now: int
    gpus_per_replica: int = 1
    going: int = 0

    @property
    def held(self) -> int:
        return self.now + self.going


@dataclass(frozen=True, slots=True)
class _Member:
    claim: Claim
    share: BudgetShare

    @property
    def gpus(self) -> int:
        return max(1, self.claim.gpus_per_replica)

    @property
    def order(self) -> tuple[int, str]:
        return (-self.share.priority, self.claim.policy)


def allot(budgets: Sequence[GpuBudget], claims: Sequence[Claim]) -> dict[str, Cap]:
    """The cap of each policy that is in a budget; of several budgets, the smallest one."""
    asked = {claim.policy: claim for claim in claims}
    caps: dict[str, Cap] = {}
    for budget, members in _narrowed(sorted(budgets, key=lambda b: b.key), asked):
        shares = _shares(budget.gpus, members)
        for key, most in _caps(budget.gpus, members, shares).items():
            if key not in caps or most < caps[key].replicas:
                caps[key] = Cap(most, _words(budget, members, key, most, asked[key].wanted))
    return caps


def _narrowed(
    budgets: Sequence[GpuBudget], asked: Mapping[str, Claim]
) -> list[tuple[GpuBudget, list[_Member]]]:
    """What one budget denies a policy is not kept for it in another: its wish there shrinks to
    its smallest share elsewhere. Wishes only shrink, so that comes to an end.
    """
    groups = [(budget, _members(budget, asked)) for budget in budgets]
    for _ in range(len(asked) + 1 if len(budgets) > 1 else 0):
        shares = [_shares(budget.gpus, members) for budget, members in groups]
        narrowed = []
        for index, (budget, members) in enumerate(groups):
            elsewhere = shares[:index] + shares[index + 1 :]
            narrowed.append((budget, [_less(member, elsewhere) for member in members]))
        if narrowed == groups:
            break
        groups = narrowed
    return groups


def _less(member: _Member, elsewhere: Sequence[Mapping[str, int]]) -> _Member:
    claim = member.claim
    most = min([claim.wanted, *(s[claim.policy] for s in elsewhere if claim.policy in s)])
    return replace(member, claim=replace(claim, wanted=most))


def _members(budget: GpuBudget, asked: Mapping[str, Claim]) -> list[_Member]:
    """Highest priority first, equals by name; a share without a claim takes nothing."""
    found = [_Member(asked[s.policy], s) for s in budget.shares if s.policy in asked]
    return sorted(found, key=lambda member: member.order)


# --- shares ----------------------------------------------------------------------------------


def _shares(gpus: int, members: Sequence[_Member]) -> dict[str, int]:
    """Replicas that each should have, highest priority first.

    A class of equals may use what is left without the floors of those below it; or, where it
    holds more and still wants it, that: nobody is pushed by a lower one. 8 GPUs, a holds and
    wants 8, b below it comes with a floor of 2: a keeps 8 until it wants less.
    """
    left = gpus
    shares: dict[str, int] = {}
    for equals in _classes(members):
        below = sum(m.share.floor * m.gpus for m in members if m.order[0] > equals[0].order[0])
        held = _sum(equals, lambda m: max(m.share.floor, min(m.claim.now, m.claim.wanted)))
        asked = _sum(equals, lambda m: max(m.share.floor, m.claim.wanted))
        room = min(left, max(held, min(asked, left - below)))
        got = _by_turns(max(0, room), equals, {}, _floor)
        got = _by_turns(room - _used(equals, got), equals, got, _wish)
        shares |= got
        left -= _used(equals, got)
    return shares


def _classes(members: Sequence[_Member]) -> list[list[_Member]]:
    """Members of one priority together; `members` are sorted by it."""
    classes: list[list[_Member]] = []
    for member in members:
        if classes and classes[-1][0].share.priority == member.share.priority:
            classes[-1].append(member)
        else:
            classes.append([member])
    return classes


def _by_turns(
    gpus: int,
    members: Sequence[_Member],
    begun: Mapping[str, int],
    upto: Callable[[_Member], int],
) -> dict[str, int]:
    """One replica each in turn, to whom has the fewest, until all have enough or nothing fits.

    The last one of a turn goes to who holds it already: it would only change hands.
    """
    got = {member.claim.policy: begun.get(member.claim.policy, 0) for member in members}
    while True:
        open_ = [m for m in members if got[m.claim.policy] < upto(m) and m.gpus <= gpus]
        if not open_:
            return got
        turn = min(open_, key=lambda m: _turn(m, got[m.claim.policy]))
        got[turn.claim.policy] += 1
        gpus -= turn.gpus


def _turn(member: _Member, got: int) -> tuple[int, bool, str]:
    return (got, min(member.claim.now, member.claim.wanted) <= got, member.claim.policy)


def _floor(member: _Member) -> int:
    return member.share.floor


def _wish(member: _Member) -> int:
    return max(member.share.floor, member.claim.wanted)


def _sum(members: Sequence[_Member], replicas: Callable[[_Member], int]) -> int:
    return sum(replicas(member) * member.gpus for member in members)


def _used(members: Sequence[_Member], got: Mapping[str, int]) -> int:
    return _sum(members, lambda m: got[m.claim.policy])


# --- caps ------------------------------------------------------------------------------------


def _caps(gpus: int, members: Sequence[_Member], shares: Mapping[str, int]) -> dict[str, int]:
    """Those above their share go down to it; those below grow into what nobody holds."""
    free = gpus - _sum(members, lambda m: m.claim.held)
    caps = {m.claim.policy: min(m.claim.now, shares[m.claim.policy]) for m in members}
    for upto in (_floor, _wish):
        for equals in _classes(members):
            before = {m.claim.policy: max(m.claim.now, caps[m.claim.policy]) for m in equals}
            after = _by_turns(max(0, free), equals, before, _bounded(upto, shares))
            for member in equals:
                key = member.claim.policy
                if after[key] > before[key]:
                    caps[key] = after[key]
                    free -= (after[key] - before[key]) * member.gpus
    return caps


def _bounded(upto: Callable[[_Member], int], shares: Mapping[str, int]) -> Callable[[_Member], int]:
    return lambda member: min(upto(member), shares[member.claim.policy])


# --- words, and the stage --------------------------------------------------------------------


def _words(budget: GpuBudget, members: Sequence[_Member], key: str, most: int, wanted: int) -> str:
    """budget ml/gpus: 8 GPUs; flower gets 4 of 6 wanted (priority 10; bert holds 2 at priority
    20; floors 1 each)
    """
    me = next(member for member in members if member.claim.policy == key)
    others = [m for m in members if m is not me and m.claim.held]
    said = [f"priority {me.share.priority}"]
    said += [f"{me.claim.going} of its own still terminating"] if me.claim.going else []
    said += [f"{_name(m, budget)} holds {m.claim.held} at priority {m.share.priority}"
             for m in others[:3]]  # fmt: skip
    if len(others) > 3:
        said.append(f"{len(others) - 3} more hold {sum(m.claim.held for m in others[3:])}")
    floors = {m.share.floor for m in members}
    if floors == {me.share.floor}:
        said.append(f"floors {me.share.floor} each")
    else:
        said.append("floors " + ", ".join(f"{_name(m, budget)} {m.share.floor}"
                                          for m in members[:4]))  # fmt: skip
    gets = f"gets {most} of {wanted} wanted"
    if most < me.claim.now:
        gets = f"is to go down to {most} of {me.claim.now}"
    return (
        f"budget {budget.key}: {budget.gpus} GPUs; {_name(me, budget)} {gets} ({'; '.join(said)})"
    )


def _name(member: _Member, budget: GpuBudget) -> str:
    namespace, _, name = member.claim.policy.partition("/")
    return name if namespace == budget.namespace else member.claim.policy


def capped(cap: Cap | None, current: int, wanted: int, *, held: bool) -> Step | None:
    """No growth past the cap. Down to it from above only where no more than `current` is wanted,
    through the stages that follow (those who stay must carry the load), and never while signals
    are missing (`held`).
    """
    if cap is None or wanted <= cap.replicas:
        return None
    if held and wanted <= current:
        return None
    after = max(cap.replicas, current) if wanted > current else cap.replicas
    if after == wanted:
        return None
    return Step("budget", wanted, after, cap.reason, f"a cap of {wanted} would let it be")
