"""Fitting a table: rows, requirements, the search among model families, the choice."""
