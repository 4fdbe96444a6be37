"""Fitting a table: rows, model families, the search among them, the choice."""
