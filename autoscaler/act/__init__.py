"""What a decision means in the outside world: actions as data, and the executors that carry them out."""
