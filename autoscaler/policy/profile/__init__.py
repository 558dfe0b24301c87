"""Load sweeps of one Triton replica, by whatever tool: what it carries within an SLA.

    profile = parse_profile(text)
    capacity_at(profile, Sla(latency=((0.99, 0.050),)))   # Answer or Refusal

No I/O. Units: seconds, requests/s, ratios 0 to 1.
"""

from __future__ import annotations

from autoscaler.policy.profile.capacity import Answer, Bound, Refusal, capacity_at
from autoscaler.policy.profile.read import Choice, Reading, parse_profile, read_profiles
from autoscaler.policy.profile.sweep import Configuration, Point, Profile, ProfileError, percentile

__all__ = [
    "Answer",
    "Bound",
    "Choice",
    "Configuration",
    "Point",
    "Profile",
    "ProfileError",
    "Reading",
    "Refusal",
    "capacity_at",
    "parse_profile",
    "percentile",
    "read_profiles",
]
