"""Tables: reading, schema, and the way between columns and tensors."""

from logpx.tables.kinds import Kind
from logpx.tables.schema import Column, Schema

__all__ = [
    "Column",
    "Kind",
    "Schema",
]
