"""The faults, what is to be expected of each, and which other tests meet the same.

Those under tests/contract meet it with real parts.
"""

from __future__ import annotations

from tests.faults import cluster, writing
from tests.faults.runs import Fault

WRITES = "tests/contract/test_writes.py"
DAEMON = "tests/contract/test_daemon_writes.py"
FAILOVER = "tests/contract/test_failover.py"
STATE = "tests/contract/test_state_in_config_maps.py"
HANDS = "tests/contract/observing/test_hands.py"
PODS = "tests/contract/observing/test_pods.py"
POOLS = "tests/contract/observing/test_pools.py"
KARPENTER = "tests/contract/test_node_pools.py"
SCALE = "tests/contract/test_scale_component.py"
QUERIES = "tests/contract/test_queries_in_prometheus.py"
CLOCKS = "tests/unit/run/test_state_clocks.py"
SOURCE = "tests/unit/observe/test_prometheus_faults.py"
LEASE = "tests/unit/kube/test_lease.py"
LOOP = "tests/unit/run/test_loop.py"
DECIDE = "tests/unit/decide"

FAULTS = (
    Fault(
        "conflict storm",
        writing.conflict_storm,
        "a write of the replicas is given up at its first conflict, one of a pool after three "
        "looks; decided anew the next tick, and made when the storm is over",
        (
            f"{WRITES}::test_in_a_real_storm_every_attempt_ends_and_the_last_word_is_somebodys",
            f"{DAEMON}::test_a_writer_that_hammers_delays_us_and_loses_nothing",
        ),
    ),
    Fault(
        "API server down in mid-write",
        writing.api_server_down,
        "whether it was written is not known and not guessed: observed again, and a write that "
        "landed late is ours and starts the cooldown",
        (
            f"{DAEMON}::test_an_api_server_that_dies_in_mid_write_costs_time_and_no_second_step",
            f"{WRITES}::test_an_answer_that_is_lost_is_not_taken_for_a_failure_or_a_success",
        ),
        daemons=2,
    ),
    Fault(
        "lease stolen, emptied or deleted",
        writing.lease_stolen,
        "the leader stops before its next write; one of the two leads again within 29 s",
        (
            f"{FAILOVER}::test_a_lease_stolen_with_kubectl_edit_stops_the_leader_before_its_next_write",
            f"{FAILOVER}::test_a_deleted_lease_costs_nobody_more_than_time",
        ),
        daemons=2,
    ),
    Fault(
        "leader killed, clocks up to 2 h apart",
        writing.leader_killed,
        "the other takes over with all cooldowns, their times taken back to its own clock",
        (
            f"{STATE}::test_a_machine_with_a_wrong_clock_takes_over_without_ending_a_cooldown",
            f"{FAILOVER}::test_a_failover_forgets_no_cooldown",
        ),
        daemons=2,
        before=writing.clocks_apart,
    ),
    Fault(
        "leader cut off",
        writing.partition,
        "the old leader stops 3 s before the new one may begin; its state is refused afterwards",
        (
            f"{FAILOVER}::test_an_old_leader_that_is_cut_off_stops_before_the_new_one_begins",
            f"{STATE}::test_a_leader_of_the_past_is_refused_whoever_wrote_since",
        ),
        daemons=2,
    ),
    Fault(
        "state ConfigMap deleted",
        writing.state_deleted,
        "made again from memory, the leader's or the standby's; scaling goes on",
        (f"{STATE}::test_a_config_map_deleted_under_a_leader_is_made_again_with_all_it_knows",),
        daemons=2,
    ),
    Fault(
        "state ConfigMap corrupt",
        writing.state_corrupt,
        "everything holds and says how to mend it, over a restart too; never taken for empty",
        (
            f"{FAILOVER}::test_dynamo_4420_a_state_spoilt_by_hand_holds_and_is_mended_by_what_is_said",
            f"{STATE}::test_what_cannot_be_read_is_never_a_first_start",
        ),
    ),
    Fault(
        "state ConfigMap from a newer version",
        writing.state_newer,
        "everything holds until the newer daemon runs or the state is put back",
        (f"{STATE}::test_what_cannot_be_read_is_never_a_first_start",),
    ),
    Fault(
        "restart (SIGTERM or SIGKILL)",
        writing.restart,
        "the cooldown goes on where it was; after SIGTERM at once, after SIGKILL 15 s later",
        (f"{FAILOVER}::test_two_daemons_take_over_from_each_other_and_the_cooldown_goes_on",),
    ),
    Fault(
        "wall clock jumps up to 2 h",
        writing.clock_jumps,
        "cooldowns and windows go on by elapsed time",
        (
            f"{LOOP}::test_a_clock_set_forward_ends_no_cooldown",
            f"{LOOP}::test_a_clock_set_back_adds_nothing_to_a_cooldown",
            f"{CLOCKS}::test_a_leader_that_dies_right_after_its_clock_was_set_leaves_the_cooldown_as_it_was",
        ),
    ),
    Fault(
        "target deleted and made anew",
        cluster.deleted,
        "nothing is decided without it; made anew with another size it is somebody's change",
        (
            f"{WRITES}::test_a_target_that_is_deleted_is_named",
            f"{WRITES}::test_the_target_made_anew_under_the_same_name_is_another_one",
        ),
    ),
    Fault(
        "scaled to 0 by hand",
        cluster.switched_off,
        "left at 0; the way back is an invitation, and scaling goes on at once",
        (
            f"{DECIDE}/test_hands.py::test_zero_set_by_hand_is_a_switch_and_the_way_back_an_invitation",
        ),
    ),
    Fault(
        "scaled by a person (whenContested: yield)",
        cluster.by_a_person,
        "left alone for as long as the policy yields, past the maximum too, then taken over",
        (
            f"{WRITES}::test_dynamo_4420_what_somebody_set_since_it_was_observed_is_left_to_them",
            f"{HANDS}::test_dynamo_4420_a_hand_that_scales_after_us_is_named",
        ),
    ),
    Fault(
        "scaled by a person (whenContested: refuse)",
        cluster.by_a_person_who_puts_it_back,
        "left alone until it is back at our size",
        (f"{DECIDE}/test_hands.py::test_a_policy_that_refuses_waits_until_its_own_size_is_back",),
        before=cluster.refuses,
    ),
    Fault(
        "an HPA on the target, and it writes",
        cluster.an_hpa,
        "nothing is written beside it; goes on when it is gone and its last change was yielded to",
        (
            f"{HANDS}::test_production_stack_903_an_hpa_on_the_target_is_named",
            f"{SCALE}::test_an_hpa_on_the_target_holds_it_and_an_event_says_who_it_is",
        ),
    ),
    Fault(
        "paused",
        cluster.paused,
        "nothing is written, corrections of limits neither, until it is taken off",
        (f"{DAEMON}::test_the_annotation_and_the_freeze_stop_writes_at_once_and_say_who",),
    ),
    Fault(
        "quota refuses pods",
        cluster.quota,
        "not asked for more than is made; what is refused is not counted as on its way",
        (f"{HANDS}::test_a_quota_that_is_used_up_is_said_in_the_quotas_words",),
    ),
    Fault(
        "GPU budget shrinks",
        cluster.budget_shrinks,
        "comes down as far as the load allows, also where scale-in may take all in one step",
        (f"{DECIDE}/test_budget.py::test_nothing_is_taken_from_under_load",),
        before=cluster.all_at_once,
    ),
    Fault(
        "rollout under way",
        cluster.rollout,
        "grows as ever, shrinks after it",
        (f"{HANDS}::test_a_rollout_is_told_and_a_scale_up_is_none",),
    ),
    Fault(
        "pods crash-looping",
        cluster.crash_loop,
        "no supply, and not asked for more of; grows on with the first that is Ready",
        (f"{PODS}::test_a_container_that_does_not_come_up_says_why",),
    ),
    Fault(
        "pods OOM-killed under load",
        cluster.out_of_memory,
        "no supply until Ready again; more are ordered, none let go",
        (f"{PODS}::test_a_container_that_does_not_come_up_says_why",),
    ),
    Fault(
        "node drained",
        cluster.drained,
        "replaced while its pods still serve; not counted on, not asked for twice",
        (f"{PODS}::test_the_pods_of_a_drained_node_are_told_before_they_are_gone",),
    ),
    Fault(
        "node cordoned for hours",
        cluster.cordoned,
        "its pods are replaced, and stay beside as long as it lasts; the pool is not taken for "
        "lost, and grows by other nodes",
        (
            f"{DECIDE}/test_nodes_in_doubt.py::test_a_node_cordoned_for_hours_does_not_stop_the_growth_of_its_pool",
        ),
        before=cluster.without_fallback,
    ),
    Fault(
        "spot interruption, 2 min notice",
        cluster.spot,
        "replaced within the notice, the one too many let go afterwards",
        (f"{POOLS}::test_karpenter_7414_a_node_that_is_being_taken_is_told_at_once",),
    ),
    Fault(
        "nodes that never come",
        cluster.no_nodes,
        "given up after twice the measured cold start; the fallback pool is asked instead",
        (
            f"{POOLS}::test_dynamo_14251_a_pool_that_brings_nothing_says_why",
            f"{POOLS}::test_a_machine_that_could_not_be_had_is_the_pools_refusal",
            f"{KARPENTER}::test_a_static_pool_goes_up_and_down_and_its_busy_node_stays",
        ),
    ),
    Fault(
        "Prometheus gone",
        cluster.lies("gone"),
        "holds",
        (
            f"{SOURCE}::test_nothing_listens",
            f"{LOOP}::test_a_source_that_is_down_holds_and_says_why",
        ),
    ),
    Fault(
        "Prometheus answers NaN",
        cluster.lies("nan"),
        "holds: NaN is Missing, never 0",
        (
            f"{QUERIES}::test_counters_that_turn_nan_are_unknown_at_once_and_never_zero",
            f"{SOURCE}::test_keda_3065_nan_is_not_zero",
        ),
    ),
    Fault(
        "Prometheus answers in part",
        cluster.lies("partial"),
        "grows on what is known at least, never shrinks",
        (f"{SOURCE}::test_a_partial_answer_is_no_answer",),
    ),
    Fault(
        "Prometheus answers of the past",
        cluster.lies("stale"),
        "believed for three scrapes and 5 s, then holds",
        (f"{SOURCE}::test_without_sample_times_nothing_is_fresh",),
    ),
)
