"""Columns together: table units to model units and back, with supports, grids and dequantisation."""
