"""Other autoscalers, as faithfully as a fluid world allows: what ours is compared with."""
