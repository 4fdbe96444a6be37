"""Detection of anomalies: unusual rows, how sure that is, and the columns that make them so."""
