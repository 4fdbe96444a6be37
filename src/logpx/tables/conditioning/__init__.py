"""Any columns of a table given any others: log p, draws, and predictions."""
