"""The brain: one pure function, the same live, in dry run, in simulation and in backtests."""

from autoscaler.decide.pipeline import decide

__all__ = ["decide"]
