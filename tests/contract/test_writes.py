"""What the live executor does to a real API server, and what it leaves alone."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoscaler.act.executor import ActionError
from autoscaler.act.live import LiveExecutor
from autoscaler.kube.managed import replicas_manager
from autoscaler.model import Action
from tests.contract.writing import (
    FLEET,
    Interposed,
    Relay,
    action,
    connected,
    deployment,
    fleet,
    fleet_definition,
    path_of,
    size,
    target,
    through,
)
from tests.testbed.api import ApiRefused
from tests.testbed.control_plane import ControlPlane, eventually
from tests.testbed.flags import API

pytestmark = pytest.mark.real


async def execute(plane: ControlPlane, wish: Action, **more: Any) -> None:
    """As ticks do: a conflict with the controllers that are at work on it is tried again."""
    async with connected(plane.kubeconfig) as client:
        executor = LiveExecutor(client, lambda: 10.0, **more)
        for _ in range(10):
            try:
                return await executor.execute(wish)
            except ActionError as error:
                if "changed meanwhile" not in str(error):
                    raise
                await asyncio.sleep(0.5)
        raise AssertionError("only conflicts")


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
async def test_a_target_is_scaled_up_and_down_again(
    control_plane: ControlPlane, fresh_namespace: str, kind: str
) -> None:
    control_plane.apply(deployment(fresh_namespace, 2, kind=kind))
    path = path_of(fresh_namespace, f"{kind.lower()}s")
    whom = target(fresh_namespace, kind=kind)
    for before, after in ((2, 5), (5, 1), (1, 0), (0, 1)):
        await execute(control_plane, action(fresh_namespace, before, after, of=whom))
        assert size(control_plane, path) == after


async def test_production_stack_903_anything_with_a_scale_subresource_is_scaled(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    """Through the custom resource's own `scale`, not the Deployment that its operator keeps."""
    control_plane.apply(fleet_definition())
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=20s", f"crd/{FLEET}")
    eventually(lambda: control_plane.apply(fleet(fresh_namespace, 3)), "a fleet")
    roses = target(fresh_namespace, "roses", api_version="triton.example/v1", kind="Fleet")
    for before, after in ((3, 7), (7, 2)):
        await execute(control_plane, action(fresh_namespace, before, after, of=roses))
        assert size(control_plane, path_of(fresh_namespace, "fleets", "roses")) == after


async def test_the_write_is_under_our_own_name(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    """Who looks at managedFields tells our writes from everybody else's by it."""
    control_plane.apply(deployment(fresh_namespace, 2))
    await execute(control_plane, action(fresh_namespace, 2, 3))
    fields = control_plane.api.get(path_of(fresh_namespace))["metadata"]["managedFields"]
    (ours,) = [one for one in fields if one["manager"] == "triton-autoscaler"]
    assert ours["subresource"] == "scale"
    assert ours["fieldsV1"]["f:spec"] == {"f:replicas": {}}


async def test_dynamo_4420_what_somebody_set_since_it_was_observed_is_left_to_them(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    """Manual edits are neither overwritten nor do they wedge anything."""
    control_plane.apply(deployment(fresh_namespace, 2))
    control_plane.kubectl("scale", "deployment/flower", "-n", fresh_namespace, "--replicas=6")
    with pytest.raises(ActionError, match="had 2 replicas when it was observed and has 6 now"):
        await execute(control_plane, action(fresh_namespace, 2, 3))
    assert size(control_plane, path_of(fresh_namespace)) == 6
    await execute(control_plane, action(fresh_namespace, 6, 5))
    assert size(control_plane, path_of(fresh_namespace)) == 5


async def test_a_change_between_the_look_and_the_write_wins(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    control_plane.apply(deployment(fresh_namespace, 2))
    path = path_of(fresh_namespace)

    def meanwhile() -> None:
        control_plane.api.patch(path, {"spec": {"replicas": 6}})

    async with connected(control_plane.kubeconfig) as client:
        between = Interposed(client, before=meanwhile)
        with pytest.raises(ActionError, match="changed meanwhile"):
            await LiveExecutor(between, lambda: 10.0).execute(action(fresh_namespace, 2, 3))
    assert size(control_plane, path) == 6


async def test_a_pause_between_the_look_and_the_write_is_heeded(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    """A Scale shows no annotations: a second try would write past the pause."""
    control_plane.apply(deployment(fresh_namespace, 4))
    path = path_of(fresh_namespace)

    def meanwhile() -> None:
        note = {"triton-autoscaler/paused": "incident 42"}
        control_plane.api.patch(path, {"metadata": {"annotations": note}})

    async with connected(control_plane.kubeconfig) as client:
        between = Interposed(client, before=meanwhile)
        with pytest.raises(ActionError, match="changed meanwhile"):
            await LiveExecutor(between, lambda: 10.0).execute(action(fresh_namespace, 4, 2))
    assert size(control_plane, path) == 4


async def test_a_pause_that_no_watch_has_told_of_yet_is_heeded(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    control_plane.apply(deployment(fresh_namespace, 4))
    path = path_of(fresh_namespace)
    seen = control_plane.api.get(path)["metadata"]
    wish = replace(
        action(fresh_namespace, 4, 2),
        resource_version=seen["resourceVersion"],
        writer=str(replicas_manager(seen)),
    )
    note = "triton-autoscaler/paused"
    control_plane.kubectl("annotate", "deployment/flower", "-n", fresh_namespace, f"{note}=fire")
    with pytest.raises(ActionError, match=r"was paused .*by kubectl-annotate.*: fire"):
        await execute(control_plane, wish)
    assert size(control_plane, path) == 4
    control_plane.kubectl("annotate", "deployment/flower", "-n", fresh_namespace, f"{note}-")
    await execute(control_plane, wish)
    assert size(control_plane, path) == 2, "a version that only moved keeps nobody from writing"


async def test_the_target_made_anew_under_the_same_name_is_another_one(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    control_plane.apply(deployment(fresh_namespace, 2))
    path = path_of(fresh_namespace)

    def meanwhile() -> None:
        control_plane.api.delete(path)
        eventually(lambda: gone(control_plane, path), "the old one is gone")
        control_plane.apply(deployment(fresh_namespace, 2))

    async with connected(control_plane.kubeconfig) as client:
        between = Interposed(client, before=meanwhile)
        with pytest.raises(ActionError, match=r"changed meanwhile|made anew|not there any more"):
            await LiveExecutor(between, lambda: 10.0).execute(action(fresh_namespace, 2, 3))
    assert size(control_plane, path) == 2


def gone(plane: ControlPlane, path: str) -> bool:
    try:
        plane.api.get(path)
    except ApiRefused as refused:
        return refused.status == 404
    return False


async def test_a_target_that_is_deleted_is_named(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    with pytest.raises(ActionError, match=r"flower is not there any more .*next tick"):
        await execute(control_plane, action(fresh_namespace, 2, 3))


async def test_wva_1044_another_writer_that_hammers_costs_two_requests_a_tick_and_no_more(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    """Two installs on one target: each attempt is bounded and named, and none is forced."""
    control_plane.apply(deployment(fresh_namespace, 2))
    path = path_of(fresh_namespace)
    counter = iter(range(1000))

    def hammer() -> None:
        note = {"metadata": {"annotations": {"hammered": str(next(counter))}}}
        control_plane.api.patch(path, note)

    async with connected(control_plane.kubeconfig) as client:
        between = Interposed(client, before=hammer)
        executor = LiveExecutor(between, lambda: 10.0)
        for _ in range(10):
            with pytest.raises(ActionError, match="changed meanwhile"):
                await executor.execute(action(fresh_namespace, 2, 3))
        assert (len(between.looks), len(between.writes)) == (10, 10)
        assert size(control_plane, path) == 2
        await LiveExecutor(client, lambda: 10.0).execute(action(fresh_namespace, 2, 3))
    assert size(control_plane, path) == 3


async def test_in_a_real_storm_every_attempt_ends_and_the_last_word_is_somebodys(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    """A writer that sets 2 as fast as it can: what is there is 2 or ours, never a sum of steps."""
    control_plane.apply(deployment(fresh_namespace, 2))
    path = path_of(fresh_namespace)
    outcomes = []
    with hammering(control_plane, path):
        async with connected(control_plane.kubeconfig) as client:
            executor = LiveExecutor(client, lambda: 10.0)
            for _ in range(20):
                try:
                    await executor.execute(action(fresh_namespace, 2, 3))
                except ActionError as error:
                    outcomes.append(str(error))
                else:
                    outcomes.append("done")
                assert size(control_plane, path) in {2, 3}
    assert len(outcomes) == 20
    told = {"done", "changed meanwhile", "somebody else changed it"}
    assert all(any(part in outcome for part in told) for outcome in outcomes), outcomes


@contextmanager
def hammering(plane: ControlPlane, path: str) -> Iterator[None]:
    stop = threading.Event()

    def hammer() -> None:
        while not stop.is_set():
            plane.api.patch(path, {"spec": {"replicas": 2}})

    threads = [threading.Thread(target=hammer) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


async def test_an_answer_that_is_lost_is_not_taken_for_a_failure_or_a_success(
    control_plane: ControlPlane, fresh_namespace: str, tmp_path: Path
) -> None:
    """The connection is cut when the write is done: it is seen at the next look, and the step is
    not made twice.
    """
    control_plane.apply(deployment(fresh_namespace, 2))
    path = path_of(fresh_namespace)
    relay = Relay(control_plane.address, API)
    async with relay.serving() as url:
        kubeconfig = through(control_plane.kubeconfig, url, tmp_path)
        async with connected(kubeconfig) as client:

            def cut() -> None:
                relay.mute = True

            between = Interposed(client, before=cut)
            while size(control_plane, path) == 2:  # cut before the server had it: once more
                relay.mute = False
                with pytest.raises(ActionError, match="written is not known") as raised:
                    await LiveExecutor(between, lambda: 10.0).execute(action(fresh_namespace, 2, 3))
                assert raised.value.unanswered
                await asyncio.sleep(0.5)
            relay.mute = False
            with pytest.raises(ActionError, match="had 2 replicas when it was observed and has 3"):
                await LiveExecutor(client, lambda: 10.0).execute(action(fresh_namespace, 2, 3))
    assert size(control_plane, path) == 3


async def test_the_lease_lost_right_before_the_write_is_the_end_of_it(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    control_plane.apply(deployment(fresh_namespace, 2))
    left = [10.0]

    def lost() -> None:
        left[0] = 0.0

    async with connected(control_plane.kubeconfig) as client:
        between = Interposed(client, looked=lost)
        executor = LiveExecutor(between, lambda: left[0])
        with pytest.raises(ActionError, match="the lease is not ours any more"):
            await executor.execute(action(fresh_namespace, 2, 3))
        assert between.writes == []
    assert size(control_plane, path_of(fresh_namespace)) == 2


async def test_a_dry_run_at_the_server_writes_nothing(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    control_plane.apply(deployment(fresh_namespace, 2))
    path = path_of(fresh_namespace)
    before = control_plane.api.get(path)["metadata"]["generation"]
    await execute(control_plane, action(fresh_namespace, 2, 3), dry_run=True)
    assert control_plane.api.get(path)["metadata"]["generation"] == before
    assert size(control_plane, path) == 2


def at_most(namespace: str, replicas: int) -> str:
    """A rule of the cluster on the replicas of one namespace."""
    kind = {"apiVersion": "admissionregistration.k8s.io/v1"}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    rules = [
        {
            "apiGroups": ["apps"],
            "apiVersions": ["v1"],
            "operations": ["UPDATE"],
            "resources": ["deployments/scale"],
        }
    ]
    policy = {
        **kind,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": namespace},
        "spec": {
            "matchConstraints": {"resourceRules": rules, "namespaceSelector": selector},
            "validations": [
                {
                    "expression": f"object.spec.replicas <= {replicas}",
                    "message": f"team flower has {replicas} GPUs",
                }
            ],
        },
    }
    binding = {
        **kind,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": namespace},
        "spec": {"policyName": namespace, "validationActions": ["Deny"]},
    }
    return f"{json.dumps(policy)}\n---\n{json.dumps(binding)}"


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_rule_of_the_cluster_refuses_in_its_own_words(
    control_plane: ControlPlane, fresh_namespace: str, dry_run: bool
) -> None:
    control_plane.apply(deployment(fresh_namespace, 2))
    control_plane.apply(at_most(fresh_namespace, 3))
    path = path_of(fresh_namespace)
    asked = {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 9}}
    asked["metadata"] = {"name": "flower", "namespace": fresh_namespace}

    def in_force() -> bool:
        try:
            control_plane.api.put(f"{path}/scale?dryRun=All", asked)
        except ApiRefused:
            return True
        return False

    eventually(in_force, "the rule is in force")
    with pytest.raises(ActionError, match=r"team flower has 3 GPUs.*change the rule or the policy"):
        await execute(control_plane, action(fresh_namespace, 2, 9), dry_run=dry_run)
    assert size(control_plane, path) == 2
    await execute(control_plane, action(fresh_namespace, 2, 3))
    assert size(control_plane, path) == 3


async def test_a_role_that_may_only_look_is_told_what_to_apply(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    control_plane.apply(deployment(fresh_namespace, 2))
    name = f"looker-{fresh_namespace}"
    control_plane.kubectl(
        *("create", "clusterrole", name, "--verb=get", "--resource=deployments.apps/scale")
    )
    control_plane.kubectl(
        *("create", "rolebinding", name, f"--clusterrole={name}", f"--user={name}"),
        *("-n", fresh_namespace),
    )
    looker = control_plane.kubeconfig_for(user=name)

    def may_look() -> bool:
        try:
            control_plane.kubectl(
                *("get", "--raw", f"{path_of(fresh_namespace)}/scale"), kubeconfig=looker
            )
        except Exception:  # noqa: BLE001 -- until the role is known to the server
            return False
        return True

    eventually(may_look, "the user may look")
    async with connected(looker) as client:
        with pytest.raises(ActionError, match=r"not allowed to update .*triton-autoscaler-scales-"):
            await LiveExecutor(client, lambda: 10.0).execute(action(fresh_namespace, 2, 3))
    assert size(control_plane, path_of(fresh_namespace)) == 2
