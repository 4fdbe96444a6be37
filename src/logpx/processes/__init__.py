"""Several processes of one launcher: one leads a fit, the others compute for it."""
