"""Whose pod is this, by its name alone."""

from __future__ import annotations

import re
from collections.abc import Iterable

from autoscaler.model import Target

_HASH = re.compile(r"[a-z0-9]{1,10}")


class Owners:
    """The target whose pods are named so; the longer name where two targets would fit.

    With targets `flower` and `flower-v2`, the pod flower-v2-00000 could be of a ReplicaSet
    flower-v2 of the first or number 0 of the second: it is the second's.
    """

    def __init__(self, targets: Iterable[Target]) -> None:
        self._targets = {(target.namespace, target.name): target for target in targets}

    def of(self, namespace: str, pod: str) -> Target | None:
        """flower-0 is numbered by a StatefulSet; flower-5cf8b78894-2qqz8 is a Deployment's name,
        the hash of its pod template (up to 10 characters) and five letters."""
        longer, _, last = pod.rpartition("-")
        if last.isdigit() and (target := self._targets.get((namespace, longer))):
            return target
        name, _, template = longer.rpartition("-")
        target = self._targets.get((namespace, name))
        if target and _HASH.fullmatch(template) and len(last) == 5 and _HASH.fullmatch(last):
            return target
        return None
