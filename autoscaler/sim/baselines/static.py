"""No autoscaler: so many replicas, always."""

from __future__ import annotations

from autoscaler.sim.fluid import FluidWorld


class Static:
    def __init__(self, replicas: int, name: str = "static") -> None:
        self.name, self.replicas = name, replicas

    def wants(self, world: FluidWorld, now: float) -> int:  # noqa: ARG002 -- whatever happens
        return self.replicas
