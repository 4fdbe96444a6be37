"""Tables: reading, schema, the way between columns and tensors, and the model of a table."""

from logpx.tables.clusters import ClusteredBatch
from logpx.tables.columns.column_scales import ColumnScales
from logpx.tables.columns.labels import Labels
from logpx.tables.columns.support import Support
from logpx.tables.density import CellDensity, TableDensity
from logpx.tables.families.families import FAMILIES
from logpx.tables.fitting.fit import TableFitResult, fit_table
from logpx.tables.fitting.inspection import inspect_table
from logpx.tables.model import TableModel
from logpx.tables.reading.table import Matrices, Table, TableBatch
from logpx.tables.reference import TableReference
from logpx.tables.schema.inference import infer_schema, inspect_columns
from logpx.tables.schema.inspection import Inspection
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.matrix import to_matrix
from logpx.tables.schema.overrides import parse_columns
from logpx.tables.schema.schema import Column, Schema
from logpx.tables.schema.unseen_labels import UnseenLabel, UnseenLabels
from logpx.tables.sources import open_table
from logpx.tables.writer import TableWriter, open_writer

__all__ = [
    "FAMILIES",
    "CellDensity",
    "ClusteredBatch",
    "Column",
    "ColumnScales",
    "Inspection",
    "Kind",
    "Labels",
    "Matrices",
    "Schema",
    "Support",
    "Table",
    "TableBatch",
    "TableDensity",
    "TableFitResult",
    "TableModel",
    "TableReference",
    "TableWriter",
    "UnseenLabel",
    "UnseenLabels",
    "fit_table",
    "infer_schema",
    "inspect_columns",
    "inspect_table",
    "open_table",
    "open_writer",
    "parse_columns",
    "to_matrix",
]
