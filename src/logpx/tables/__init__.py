"""Tables: reading, schema, and the way between columns and tensors."""

from logpx.tables.inference import infer_schema
from logpx.tables.kinds import Kind
from logpx.tables.matrix import to_matrix
from logpx.tables.overrides import parse_columns
from logpx.tables.schema import Column, Schema
from logpx.tables.sources import open_table
from logpx.tables.table import Batch, Table
from logpx.tables.writer import TableWriter, open_writer

__all__ = [
    "Batch",
    "Column",
    "Kind",
    "Schema",
    "Table",
    "TableWriter",
    "infer_schema",
    "open_table",
    "open_writer",
    "parse_columns",
    "to_matrix",
]
