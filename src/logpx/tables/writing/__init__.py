"""Writing tables: to a temporary sibling, then renamed."""
