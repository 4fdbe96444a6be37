"""Ways to an approximation, the distributions they fit, and how these are fitted."""
