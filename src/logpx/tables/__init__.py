"""Tables: reading, schema, the way between columns and tensors, and the model of a table."""

from logpx.tables.columns import Columns
from logpx.tables.density import TableDensity
from logpx.tables.evaluation import Comparison, Evaluation
from logpx.tables.families import FAMILIES
from logpx.tables.fitting import TableFitResult, fit_table
from logpx.tables.inference import infer_schema
from logpx.tables.kinds import Kind
from logpx.tables.matrix import to_matrix
from logpx.tables.model import ScoredBatch, TableModel
from logpx.tables.overrides import parse_columns
from logpx.tables.schema import Column, Schema
from logpx.tables.sources import open_table
from logpx.tables.support import Support
from logpx.tables.table import Batch, Table
from logpx.tables.writer import TableWriter, open_writer

__all__ = [
    "FAMILIES",
    "Batch",
    "Column",
    "Columns",
    "Comparison",
    "Evaluation",
    "Kind",
    "Schema",
    "ScoredBatch",
    "Support",
    "Table",
    "TableDensity",
    "TableFitResult",
    "TableModel",
    "TableWriter",
    "fit_table",
    "infer_schema",
    "open_table",
    "open_writer",
    "parse_columns",
    "to_matrix",
]
