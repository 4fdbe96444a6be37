"""The log-density to approximate: parameters, evaluation, curvature, and whether it has an integral."""
