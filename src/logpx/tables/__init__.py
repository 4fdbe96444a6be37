"""Tables: reading, schema, and the way between columns and tensors."""

from logpx.tables.kinds import Kind
from logpx.tables.schema import Column, Schema
from logpx.tables.sources import open_table
from logpx.tables.table import Batch, Table

__all__ = [
    "Batch",
    "Column",
    "Kind",
    "Schema",
    "Table",
    "open_table",
]
