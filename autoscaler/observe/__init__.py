"""What the world is like: signals from Prometheus or Triton's pages, pods from Kubernetes."""
