"""The states of all policies as documents that each fit into a ConfigMap.

The API server takes 1 MiB, etcd 1.5 MiB a request. A part holds at most 1.15 MB of JSON. Beyond
64 kB it is packed with gzip, and the worst that can be in it, random digits, becomes 44 % by gzip
and 59 % by base64: under 700 kB whatever the states. 1,000 policies with full histories (32 cold
starts, 20 steps, 5.5 kB each) are 6 parts of 430 kB, with every forecast (12 kB each) 13 parts of
475 kB; as they usually are, 1 to 3.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from autoscaler.model import WIRE
from autoscaler.run.state import VERSION, Remembered
from autoscaler.wire import WireError, from_json, to_json

PART_BYTES = 1_150_000
# A part above its size gives policies away; one takes them only up to here: states grow.
FILLED_BYTES = 1_000_000
PLAIN_BYTES = 64_000
PLAIN, PACKED = "state.json", "state.json.gz"
FAST = 1  # gzip level: 20 ms for 1 MB, a fifth larger than the best


class UnreadablePart(Exception):  # noqa: N818 -- named for what it says
    """What a ConfigMap holds is not a part; the text says why."""


class NewerPart(UnreadablePart):
    """A newer triton-autoscaler wrote it."""


@dataclass(frozen=True, slots=True)
class PartDocument:
    """One part. `parts` is how many there are, and counts in part 0 only."""

    __pydantic_config__ = WIRE
    policies: dict[str, Remembered]
    parts: int = 1
    ahead: float = 0.0  # seconds by which the writer's clock was ahead of the API server's
    version: Literal[1] = 1


@dataclass(slots=True)
class Part:
    """What a ConfigMap holds, as we last saw or wrote it."""

    policies: dict[str, Remembered] = field(default_factory=dict)
    parts: int = 1
    metadata: dict[str, Any] | None = None  # None: there is none yet

    @property
    def exists(self) -> bool:
        return self.metadata is not None


def encoded(document: PartDocument) -> dict[str, dict[str, str]]:
    """`data` or `binaryData` of the ConfigMap."""
    content = to_json(document)
    if len(content) <= PLAIN_BYTES:
        return {"data": {PLAIN: content.decode() + "\n"}}
    packed = gzip.compress(content, FAST, mtime=0)
    return {"binaryData": {PACKED: base64.b64encode(packed).decode()}}


def decoded(config_map: Mapping[str, Any]) -> PartDocument | None:
    """None where nothing was ever written; raises UnreadablePart."""
    plain = (config_map.get("data") or {}).get(PLAIN)
    packed = (config_map.get("binaryData") or {}).get(PACKED)
    if plain is None and packed is None:
        if config_map.get("data") or config_map.get("binaryData"):
            raise UnreadablePart(f"it holds other things, but neither {PLAIN} nor {PACKED}")
        return None
    try:
        content = plain.encode() if plain is not None else _unpacked(packed)
        version = _version(content)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise UnreadablePart(f"it is not JSON ({error})") from error
    if version > VERSION:
        raise NewerPart(f"version {version}")
    try:
        return from_json(PartDocument, content)
    except WireError as error:
        raise UnreadablePart(str(error)) from error


def _unpacked(packed: str | None) -> bytes:
    try:
        return gzip.decompress(base64.b64decode(packed or "", validate=True))
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error


def _version(content: bytes) -> int:
    document = json.loads(content)
    version = document.get("version") if isinstance(document, dict) else None
    return version if isinstance(version, int) else 0


@dataclass(frozen=True, slots=True)
class Placement:
    """Which policies go where, and in which order the parts must be written.

    A policy that moves is written to its new part before it goes from the old one: whoever stops
    in between leaves it in both, and the newer entry counts.
    """

    policies: tuple[dict[str, Remembered], ...]
    order: tuple[int, ...]


def place(parts: Sequence[Part], states: Mapping[str, Remembered]) -> Placement:
    """Every policy stays where it is while there is room, so that few parts change."""
    sizes = {key: len(key) + len(to_json(entry)) + 4 for key, entry in states.items()}
    homes = _homes(parts)
    kept: list[dict[str, int]] = [{} for _ in parts]
    homeless = []
    for key, size in sizes.items():
        if key in homes:
            kept[homes[key]][key] = size
        else:
            homeless.append(key)
    givers = set()
    for number, part in enumerate(kept):
        load = sum(part.values())
        while load > PART_BYTES and len(part) > 1:
            key, size = part.popitem()
            load -= size
            homeless.append(key)
            givers.add(number)
    gained = _settle(kept, homeless, sizes, givers)
    news = range(len(parts), len(kept))
    # New parts, those that gain, part 0 (it says how many there are), those that give.
    ranks = [
        0 if number in news else 1 if number in gained else 2 if number == 0 else 3
        for number in range(len(kept))
    ]
    order = sorted(range(len(kept)), key=lambda number: (ranks[number], number))
    placed = tuple({key: states[key] for key in part} for part in kept)
    return Placement(placed, tuple(order))


def _homes(parts: Sequence[Part]) -> dict[str, int]:
    """Where each policy is; where a move was broken off, its newer place."""
    homes: dict[str, int] = {}
    for number, part in enumerate(parts):
        for key, entry in part.policies.items():
            if key not in homes or entry.at >= parts[homes[key]].policies[key].at:
                homes[key] = number
    return homes


def _settle(
    kept: list[dict[str, int]], homeless: Sequence[str], sizes: Mapping[str, int], full: set[int]
) -> set[int]:
    """Put each of the homeless into the first part with room; which parts gained."""
    loads = [sum(part.values()) for part in kept]
    gained = set()
    for key in homeless:
        size = sizes[key]
        number = next(
            (n for n, load in enumerate(loads) if n not in full and load + size <= FILLED_BYTES),
            len(kept),
        )
        if number == len(kept):
            kept.append({})
            loads.append(0)
        kept[number][key] = size
        loads[number] += size
        gained.add(number)
    return gained
