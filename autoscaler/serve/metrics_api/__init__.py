"""custom.metrics.k8s.io and external.metrics.k8s.io, answered from the last tick."""
