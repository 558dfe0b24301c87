"""What a policy would have done over recorded time, beside what really ran.

pull        range queries in chunks, kept on disk as they arrive     questions, probe, pull,
                                                                     range_api, chunks, cache,
                                                                     interrupt
history     raw counters by pod, and what is odd about them          history, build, notes, findings
replay      `decide` over the recorded observations, no model        observations, replay
what ran    its GPU-hours, waits and missed minutes                  flows, recorded
model       the fluid world with the recorded arrivals: replicas,    curve, measure, modelled
            GPU-hours and misses of a fleet that follows the policy
error       the same world with the recorded replicas, against the   error
            recorded queue time
report      table, JSON, HTML                                        result, summary, page

`gather` goes from a Request to a History, `backtest` from there to a Backtest.
"""
