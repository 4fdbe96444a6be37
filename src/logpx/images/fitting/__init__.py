"""Fitting a model to images: families, the split, the training, the baselines."""
