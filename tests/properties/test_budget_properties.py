"""What must hold of any budget: never over it, the same every time, more is never less."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.decide.budget import Claim, allot
from autoscaler.model import BudgetShare, GpuBudget

NAMES = [f"ml/p{n}" for n in range(5)]


def claims(gpus: st.SearchStrategy[int]) -> st.SearchStrategy[list[Claim]]:
    return st.tuples(
        *[
            st.builds(Claim, st.just(name), st.integers(0, 9), st.integers(0, 9), gpus)
            for name in NAMES
        ]
    ).map(list)


CLAIMS = claims(st.integers(1, 3))
ONES = claims(st.just(1))
SHARES = st.lists(
    st.builds(BudgetShare, st.sampled_from(NAMES), st.integers(0, 2), st.integers(0, 3)),
    min_size=1,
    max_size=5,
    unique_by=lambda s: s.policy,
).map(tuple)
BUDGETS = st.builds(GpuBudget, st.just("ml"), st.just("gpus"), st.integers(0, 20), SHARES)


def used(budget: GpuBudget, asked: list[Claim], sizes: dict[str, int]) -> int:
    inside = {share.policy for share in budget.shares}
    return sum(sizes[c.policy] * c.gpus_per_replica for c in asked if c.policy in inside)


@settings(max_examples=80, deadline=None)
@given(BUDGETS, CLAIMS)
def test_never_over_the_budget_but_by_what_was_there(budget: GpuBudget, asked: list[Claim]) -> None:
    caps = allot([budget], asked)
    now = {c.policy: c.now for c in asked}
    after = {c.policy: max(c.now, caps[c.policy].replicas) for c in asked if c.policy in caps}
    assert used(budget, asked, now | after) <= max(budget.gpus, used(budget, asked, now))


@settings(max_examples=200, deadline=None)
@given(st.lists(BUDGETS, min_size=1, max_size=3), CLAIMS)
def test_several_budgets_hold_each(budgets: list[GpuBudget], asked: list[Claim]) -> None:
    named = [replace(b, name=f"b{n}") for n, b in enumerate(budgets)]
    caps = allot(named, asked)
    now = {c.policy: c.now for c in asked}
    after = now | {k: max(now[k], cap.replicas) for k, cap in caps.items()}
    for budget in named:
        assert used(budget, asked, after) <= max(budget.gpus, used(budget, asked, now))


@settings(max_examples=200, deadline=None)
@given(BUDGETS, CLAIMS, st.randoms())
def test_the_order_of_asking_does_not_matter(budget: GpuBudget, asked: list[Claim], rnd) -> None:  # type: ignore[no-untyped-def]
    first = allot([budget], asked)
    shuffled, shares = list(asked), list(budget.shares)
    rnd.shuffle(shuffled)
    rnd.shuffle(shares)
    again = allot([replace(budget, shares=tuple(shares))], shuffled)
    assert {k: c.replicas for k, c in again.items()} == {k: c.replicas for k, c in first.items()}


@settings(max_examples=80, deadline=None)
@given(BUDGETS, ONES, st.integers(1, 5))
def test_more_gpus_are_never_less_for_anybody(
    budget: GpuBudget, asked: list[Claim], more: int
) -> None:
    small, large = allot([budget], asked), allot([replace(budget, gpus=budget.gpus + more)], asked)
    assert all(large[key].replicas >= cap.replicas for key, cap in small.items())


@settings(max_examples=80, deadline=None)
@given(BUDGETS, ONES, st.sampled_from(NAMES), st.integers(1, 5))
def test_wanting_more_never_gets_less(
    budget: GpuBudget, asked: list[Claim], who: str, more: int
) -> None:
    before = allot([budget], asked)
    greedy = [replace(c, wanted=c.wanted + more) if c.policy == who else c for c in asked]
    if who in before:
        assert allot([budget], greedy)[who].replicas >= before[who].replicas


@settings(max_examples=80, deadline=None)
@given(BUDGETS, ONES)
def test_nobody_is_pushed_by_a_lower_priority(budget: GpuBudget, asked: list[Claim]) -> None:
    """Without those below it, nobody keeps more of what it holds and wants than with them."""
    ranked = tuple(replace(s, priority=n) for n, s in enumerate(budget.shares))
    budget = replace(budget, shares=ranked)
    whole = allot([budget], asked)
    holds = {c.policy: min(c.now, c.wanted) for c in asked}
    for share in budget.shares:
        above = tuple(s for s in budget.shares if s.priority >= share.priority)
        alone = allot([replace(budget, shares=above)], asked)[share.policy].replicas
        kept = min(holds[share.policy], alone)
        assert whole[share.policy].replicas >= kept


@settings(max_examples=200, deadline=None)
@given(BUDGETS, ONES, st.booleans())
def test_over_time_everybody_gets_a_share_that_adds_up(
    budget: GpuBudget, asked: list[Claim], begun: bool
) -> None:
    """Those above go down, those below grow: after some rounds the sum fits and nothing moves."""
    sizes = {c.policy: c.now if begun else 0 for c in asked}
    for _ in range(40):
        caps = allot([budget], [replace(c, now=sizes[c.policy]) for c in asked])
        for c in asked:
            if c.policy in caps:
                most, size = caps[c.policy].replicas, sizes[c.policy]
                sizes[c.policy] = most if size > most else min(max(c.wanted, size), most)
    assert used(budget, asked, sizes) <= budget.gpus
    floors = sum(s.floor for s in budget.shares)
    if floors <= budget.gpus and not begun:
        for share in budget.shares:
            wanted = next(c.wanted for c in asked if c.policy == share.policy)
            assert sizes[share.policy] >= min(share.floor, wanted)
