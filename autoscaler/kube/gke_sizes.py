"""What GKE was asked to make of a pool: its API tells no size but the one of the pool's making."""

from __future__ import annotations

from autoscaler.model import GkePool

# Nodes a zone of a setSize that was taken, left by who asked for who reads the pools. A daemon is
# one process; another that takes over counts the nodes, as long as it has not asked itself.
TAKEN: dict[GkePool, int] = {}
