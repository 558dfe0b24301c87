"""What the daemon shows of itself: health, metrics, a status page and its decisions as JSON."""
