"""Several files that belong together: loads of one sweep, or the two tables of Model Analyzer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from autoscaler.policy.profile.model_analyzer import Key, with_utilization
from autoscaler.policy.profile.read import Reading
from autoscaler.policy.profile.sweep import Profile, ProfileError


def with_gpus(readings: Sequence[Reading]) -> list[Profile]:
    """All profiles; those of `metrics-model-inference.csv` with the GPUs of another file."""
    found: dict[Key, float] = {}
    for reading in readings:
        found |= reading.utilization
    profiles = [profile for reading in readings for profile in reading.profiles]
    return [with_utilization(profile, found) for profile in profiles] if found else profiles


def one_sweep(profiles: Sequence[Profile]) -> Profile:
    """Loads that were measured by one run each. Raises ProfileError where they are no one sweep."""
    first = profiles[0]
    for other in profiles[1:]:
        same = (other.mode, other.batch, other.configuration)
        if same != (first.mode, first.batch, first.configuration):
            what = f"{first.source} is {_kind(first)}, {other.source} is {_kind(other)}"
            raise ProfileError(
                f"is not of the same sweep: {what}",
                "join only loads of one configuration, all by concurrency or all by rate",
            )
    points = sorted(
        # Lines are of several files now: none of them is the place
        (replace(point, line=None) for profile in profiles for point in profile.points),
        key=lambda point: point.load,
    )
    notes = tuple(dict.fromkeys(note for profile in profiles for note in profile.notes))
    source = first.source if len(profiles) == 1 else f"{first.source} and {len(profiles) - 1} more"
    return replace(first, points=tuple(points), source=source, notes=notes)


def _kind(profile: Profile) -> str:
    loop = "a closed loop" if profile.mode == "closed" else "an open loop"
    name = f" of {profile.configuration}" if str(profile.configuration) else ""
    return f"{loop}{name}, client batch {profile.batch}"
