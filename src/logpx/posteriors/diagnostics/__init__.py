"""How good an approximation is: importance weights, the verdict on them, and draws from the posterior."""
