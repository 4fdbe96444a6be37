"""The schema: what each column holds, on which support and grid, and why."""
