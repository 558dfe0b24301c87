"""Real Prometheus, Triton and perf_analyzer on loopback, for tests that refuse mocks."""
