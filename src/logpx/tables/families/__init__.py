"""The families of models that can be fitted to a table."""
