"""The families of models that a table can be fitted with."""
