"""triton-autoscaler: keeps Triton fleets inside their SLA for the fewest GPU-hours.

The folders are the data flow: policy and observe feed decide; act, serve and run carry it out.
"""

__version__ = "0.1.0"
