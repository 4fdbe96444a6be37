"""Fitting a model to pictures: families, the split, the training, the baselines."""
