"""The live executor's deadlines, and what it says of what it cannot do; against a fake client."""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import replace
from typing import Any

import pytest

from autoscaler.act import live
from autoscaler.act.deletion_cost import ANNOTATION, AT_ONCE, MOST_PODS
from autoscaler.act.executor import ActionError, DryRun, Refused, describe
from autoscaler.act.live import SILENT_FOR, WRITE_WITHIN, LiveExecutor
from autoscaler.act.refusal import not_looked, not_written
from autoscaler.kube.client import KubeError
from autoscaler.kube.hands import PAUSED
from autoscaler.model import Action
from tests.unit.act.decisions import marked, resized, scaled
from tests.unit.run.world import JumpyClock


class Api:
    """A Deployment of `replicas`; `hangs` before it answers, on its own clock; keeps writes."""

    host = "https://kubernetes"

    def __init__(self, replicas: int = 2) -> None:
        self.replicas = replicas
        self.clock = JumpyClock()
        self.hangs: float = 0.0
        self.error: KubeError | None = None
        self.makes: int | None = None  # what a webhook makes of a write
        self.writes: list[tuple[str, str, dict[str, str], Any]] = []
        self.withins: list[float] = []
        self.under_way = self.most_under_way = 0

    async def get(self, path: str, query: Any = None, within: float = 5.0) -> Any:
        await self._answer(within)
        spec = {"replicas": self.replicas} if self.replicas else {}
        return {"metadata": {"name": "flower", "resourceVersion": "7"}, "spec": spec}

    async def request(
        self, method: str, path: str, *, query: Any, body: Any, within: float, **more: Any
    ) -> Any:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self._answer(within)
        finally:
            self.under_way -= 1
        self.writes.append((method, path, query, body))
        return body if self.makes is None else {"spec": {"replicas": self.makes}}

    async def _answer(self, within: float) -> None:
        self.withins.append(within)
        await asyncio.sleep(0)
        if self.hangs > within:
            self.clock.pass_(within)
            raise KubeError(f"{self.host} did not answer within {within:g} s")
        self.clock.pass_(self.hangs)
        if self.error is not None:
            raise self.error


def executor(api: Api, remaining: float = math.inf, **more: Any) -> LiveExecutor:
    return LiveExecutor(api, lambda: remaining, clock=api.clock, **more)  # type: ignore[arg-type]


async def test_a_write_names_us_the_version_it_saw_and_nothing_but_the_replicas() -> None:
    api = Api()
    await executor(api).execute(scaled(2, 3))
    ((method, path, query, body),) = api.writes
    assert (method, path) == ("PUT", "/apis/apps/v1/namespaces/default/deployments/flower/scale")
    assert query == {"fieldManager": "triton-autoscaler"}
    assert body["metadata"]["resourceVersion"] == "7"
    assert body["spec"] == {"replicas": 3}


async def test_a_dry_run_at_the_server_says_so_in_each_write() -> None:
    api = Api()
    dry = executor(api, dry_run=True)
    await dry.execute(scaled(2, 3))
    await dry.execute(marked(flower_a=-1))
    assert all(query["dryRun"] == "All" for _, _, query, _ in api.writes)
    assert (dry.name, dry.writes) == ("server-dry-run", False)


async def test_zero_replicas_are_zero_although_the_answer_leaves_them_out() -> None:
    api = Api(replicas=0)
    await executor(api).execute(scaled(0, 1))
    with pytest.raises(ActionError, match="has 0 now"):
        await executor(api).execute(scaled(2, 3))


async def test_all_requests_of_an_action_share_one_deadline() -> None:
    api = Api()
    api.hangs = 3.0
    with pytest.raises(ActionError, match="did not answer"):
        await executor(api).execute(scaled(2, 3))
    assert api.withins == [5.0, 2.0]
    assert WRITE_WITHIN < 15.0 - 10.0 + 0.1, "a write must be over before another may lead"


async def test_a_lease_that_ends_sooner_is_the_deadline() -> None:
    api = Api()
    await executor(api, remaining=1.5).execute(scaled(2, 3))
    assert api.withins == [1.5, 1.5]


async def test_without_the_lease_not_even_a_look() -> None:
    api = Api()
    with pytest.raises(ActionError, match="the lease is not ours any more"):
        await executor(api, remaining=0.0).execute(scaled(2, 3))
    assert api.withins == []


async def test_an_api_server_that_hangs_costs_a_tick_one_deadline_and_not_one_for_each_policy() -> (
    None
):
    api = Api()
    api.hangs = math.inf
    writer = executor(api)
    for number in range(100):
        with pytest.raises(ActionError, match="did not answer"):
            await writer.execute(scaled(2, 3, f"p-{number}"))
    assert len(api.withins) == 1
    api.hangs = 0.0
    api.clock.pass_(SILENT_FOR)
    await writer.execute(scaled(2, 3))


async def test_a_driver_that_never_returns_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "WRITE_WITHIN", 0.05)
    api = Api()

    async def hang(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    from autoscaler.act.nodepools import DRIVERS

    monkeypatch.setitem(DRIVERS, type(resized(1, 2).pool.driver), hang)  # type: ignore[union-attr]
    with pytest.raises(ActionError, match="whether it was written is not known"):
        await executor(api).execute(resized(1, 2))


async def test_the_pools_driver_gets_what_is_left_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    async def resize(
        client: Any, action: Any, *, deadline: float, dry_run: bool, engine: Any
    ) -> tuple[str, ...]:
        asked.append((action.after, deadline, dry_run))
        return ("limits only",)

    from autoscaler.act.nodepools import DRIVERS

    monkeypatch.setitem(DRIVERS, type(resized(1, 2).pool.driver), resize)  # type: ignore[union-attr]
    await executor(Api(), remaining=3.0, dry_run=True).execute(resized(1, 2))
    assert asked == [(2, 3.0, True)]


async def test_a_webhook_that_changes_the_write_is_found_out() -> None:
    api = Api()
    api.makes = 4
    with pytest.raises(ActionError, match="asked for 9 replicas, the API server made it 4"):
        await executor(api).execute(scaled(2, 9))


# --- what came since it was observed -----------------------------------------------------------

LISTED = "/apis/apps/v1/namespaces/default/deployments"


class Changed(Api):
    """A Deployment at version 7, which shows who paused it and who set its replicas."""

    def __init__(self, *managers: dict[str, Any], paused: str | None = None) -> None:
        super().__init__(4)
        self.metadata: dict[str, Any] = {"name": "flower", "managedFields": list(managers)}
        if paused is not None:
            self.metadata["annotations"] = {PAUSED: paused}
        self.there = True
        self.refuses: KubeError | None = None
        self.asked: list[tuple[str, Any]] = []

    async def get(self, path: str, query: Any = None, within: float = 5.0) -> Any:
        if path.endswith("/scale"):
            return await super().get(path, query, within)
        await self._answer(within)
        self.asked.append((path, query))
        if self.refuses is not None:
            raise self.refuses
        return {"items": [{"metadata": self.metadata, "spec": {"replicas": 4}}] * self.there}


def manager(name: str, *field: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key in reversed(field):
        fields = {key: fields}
    at = "2026-11-21T08:00:00Z"
    return {"manager": name, "operation": "Apply", "time": at, "fieldsV1": fields}


def seen_at(version: str | None, writer: str | None = None) -> Action:
    return replace(scaled(4, 2), resource_version=version, writer=writer)


async def test_a_pause_that_no_watch_has_told_of_yet_is_heeded_and_says_whose_it_is() -> None:
    """Decided at version 5; `kubectl annotate` made it 7 and left the replicas as they were."""
    by = manager("kubectl-annotate", "f:metadata", "f:annotations", f"f:{PAUSED}")
    api = Changed(by, paused="incident 7")
    with pytest.raises(ActionError, match=r"paused .*by kubectl-annotate.*: incident 7"):
        await executor(api).execute(seen_at("5"))
    assert api.writes == []
    assert api.asked == [(LISTED, {"fieldSelector": "metadata.name=flower"})]


async def test_a_server_side_apply_of_the_same_replicas_is_not_written_over_at_once() -> None:
    api = Changed(manager("argocd", "f:spec", "f:replicas"))
    with pytest.raises(ActionError, match=r"argocd, Apply, .* since it was observed"):
        await executor(api).execute(seen_at("5"))
    assert api.writes == []
    known = "argocd, Apply, 2026-11-21T08:00:00Z"
    await executor(api).execute(seen_at("5", writer=known))
    assert len(api.writes) == 1, "who was known when it was decided holds nothing up"


async def test_a_new_status_costs_a_look_and_not_the_write() -> None:
    api = Changed(manager("kube-controller-manager", "f:status", "f:replicas"), paused="false")
    await executor(api).execute(seen_at("5"))
    assert len(api.asked) == len(api.writes) == 1


@pytest.mark.parametrize("version", ["7", None])
async def test_what_has_not_changed_is_not_looked_at_twice(version: str | None) -> None:
    api = Changed(paused="incident 7")
    await executor(api).execute(seen_at(version))
    assert api.asked == []


async def test_what_cannot_be_looked_at_again_is_not_written() -> None:
    api = Changed()
    api.refuses = KubeError('HTTP 403: User "x" cannot list resource "deployments"', 403)
    with pytest.raises(ActionError, match="bind ClusterRole triton-autoscaler-reads-targets"):
        await executor(api).execute(seen_at("5"))
    api.refuses, api.there = None, False
    with pytest.raises(ActionError, match="not there any more"):
        await executor(api).execute(seen_at("5"))
    assert api.writes == []


# --- which pods go first -----------------------------------------------------------------------


async def test_ray_36749_the_pods_of_the_emptiest_node_are_marked_to_go_first() -> None:
    api = Api()
    await executor(api).execute(marked(flower_a=-2, flower_b=-1, flower_c=0))
    costs = {
        path.rpartition("/")[2]: body["metadata"]["annotations"][ANNOTATION]
        for _, path, _, body in api.writes
    }
    assert costs == {"flower-a": "-2", "flower-b": "-1", "flower-c": None}
    assert {path.rpartition("/")[0] for _, path, _, _ in api.writes} == {
        "/api/v1/namespaces/default/pods"
    }


async def test_marking_is_bounded_and_the_lowest_costs_come_first() -> None:
    api = Api()
    await executor(api).execute(marked(**{f"p_{n}": n - 500 for n in range(400)}))
    assert len(api.writes) == MOST_PODS
    marked_pods = {int(path.rpartition("-")[2]) for _, path, _, _ in api.writes}
    assert marked_pods == set(range(MOST_PODS))
    assert api.most_under_way <= AT_ONCE


async def test_a_pod_that_is_gone_is_no_matter() -> None:
    api = Api()
    api.error = KubeError("HTTP 404: not found", 404)
    await executor(api).execute(marked(flower_a=-1))


async def test_pods_that_may_not_be_marked_are_counted() -> None:
    api = Api()
    api.error = KubeError('HTTP 403: User "x" cannot patch resource "pods"', 403)
    with pytest.raises(ActionError, match=r"2 of 2 pods of default/flower: not allowed to patch"):
        await executor(api).execute(marked(flower_a=-1, flower_b=-2))


# --- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (409, "modified", "changed meanwhile"),
        (404, "not found", "not there any more"),
        (401, "Unauthorized", "renew the token"),
        (403, 'User "x" cannot update resource "deployments/scale"', "apply manifests/components"),
        (403, 'pods "x" is forbidden: exceeded quota: gpus', "replicas.max"),
        (422, "denied request: at most 3", "change the rule or the policy"),
        (429, "too many", "busy"),
        (0, "cannot be reached", "whether it was written is not known"),
        (504, "timeout", "whether it was written is not known"),
    ],
)
def test_each_refusal_says_where_why_and_what_helps(status: int, said: str, words: str) -> None:
    error = not_written("Deployment default/flower", KubeError(said, status))
    assert "Deployment default/flower" in str(error)
    assert said in str(error)
    assert words in str(error)
    assert error.unanswered == (status == 0)


def test_a_look_that_failed_wrote_nothing_and_says_so() -> None:
    assert "nothing was written" in str(not_looked("it", KubeError("away")))
    assert re.search("not there any more", str(not_looked("it", KubeError("gone", 404))))


def test_actions_in_words() -> None:
    assert describe(resized(1, 2)) == (
        "resize the node pool of Deployment default/flower 1 → 2 nodes"
    )
    assert describe(marked(flower_a=-1)) == (
        "say which pods of Deployment default/flower go first (1 pod)"
    )


async def test_a_dry_run_says_each_kind_once_although_they_take_turns() -> None:
    said: list[str] = []
    dry = DryRun(said.append)
    for _ in range(3):
        for wish in (scaled(2, 3), resized(1, 2)):
            await dry.execute(wish)
    assert len(said) == 2


async def test_a_refused_write_is_a_fault_each_time() -> None:
    refused = Refused("two daemons must not write")
    for _ in range(2):
        with pytest.raises(ActionError, match="two daemons must not write"):
            await refused.execute(scaled(2, 3))
    assert not refused.writes
