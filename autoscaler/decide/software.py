"""What the pods run: a capacity is that of one image and of one version of each model.

Triton loads a new version of a model without a new pod, so the image alone does not tell.
"""

from __future__ import annotations

from dataclasses import replace

from autoscaler.decide.fleet import Fleet
from autoscaler.model import Software


def running(fleet: Fleet, now: float) -> Software | str:
    """What all pods run, or what they serve side by side, in words. Their signals are known."""
    images = {pod.image for pod in fleet.pods if pod.image is not None}
    if len(images) > 1:
        return f"images {' and '.join(sorted(images))}"
    versions: dict[str, str | None] = {}
    for pod in fleet.pods:
        for signals in pod.models:
            if versions.setdefault(signals.model, signals.versions) != signals.versions:
                return f"several versions of {signals.model}"
    others = {model: version for model, version in versions.items() if version is not None}
    return Software(now, images.pop() if images else None, others)


def change(known: Software, found: Software, fleet: Fleet) -> str | None:
    """What became of what, in words. What is not known now has not changed: without access to
    Kubernetes there is no image, and a model that is not loaded has no version.
    """
    if known.image is not None and found.image is not None and known.image != found.image:
        return f"image {known.image} became {found.image}"
    for model in fleet.models:
        before, after = known.versions.get(model, "1"), found.versions.get(model, "1")
        if before != after:
            return f"version {before} of {model} became {after}"
    return None


def completed(known: Software, found: Software, fleet: Fleet) -> Software:
    """What is known and what was found besides: an image, versions of models not loaded now."""
    absent = {m: v for m, v in known.versions.items() if m not in fleet.models}
    image = known.image if found.image is None else found.image
    return replace(known, image=image, versions=absent | found.versions)
