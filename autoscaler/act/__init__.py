"""From decisions to the outside world: actions as data, and executors that carry them out."""
