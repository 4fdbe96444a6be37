"""Methods of approximation, the distributions they use, and how these are fitted."""
