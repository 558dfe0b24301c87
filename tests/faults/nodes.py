"""GPU nodes and the pools that bring and take them, as Karpenter's static NodePool does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from autoscaler.model import Node, Pool, ScaledPool

GPUS = 2  # of a node
BOOT = 30.0  # seconds until a node that was asked for is Ready


@dataclass
class GpuNode:
    name: str
    ready_at: float
    leaving: str | None = None


@dataclass
class NodePool:
    """`dead`: it brings no node, whatever it is asked for."""

    name: str
    size: int
    nodes: list[GpuNode] = field(default_factory=list)
    dead: bool = False
    version: int = 1
    made: int = 0

    @property
    def driver(self) -> ScaledPool:
        return ScaledPool("karpenter.sh/v1", "NodePool", self.name)

    def step(self, now: float, busy: Callable[[str], int]) -> list[str]:
        """One node more, or those too many fewer, empty ones first; the names of these."""
        while len(self.nodes) < self.size and not self.dead:
            self.add(now + BOOT)
        surplus = len(self.nodes) - self.size
        if surplus <= 0:
            return []
        gone = sorted(self.nodes, key=lambda node: busy(node.name))[:surplus]
        self.nodes = [node for node in self.nodes if node not in gone]
        return [node.name for node in gone]

    def add(self, ready_at: float) -> None:
        self.made += 1
        self.nodes.append(GpuNode(f"{self.name}-{self.made}", ready_at))

    def seen(self, now: float, busy: Callable[[str], int]) -> Pool:
        nodes = tuple(
            Node(node.name, GPUS, node.ready_at <= now, node.leaving, busy(node.name))
            for node in self.nodes
        )
        return Pool(self.size, nodes, resource_version=str(self.version))
