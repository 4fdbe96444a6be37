from .clusters import ClusteredBatch
from .coding import RowCoding
from .columns.column_scales import ColumnScales
from .columns.labels import Labels
from .columns.support import Support
from .density import CellDensity, TableDensity
from .families.families import FAMILIES
from .fitting.fit import fit_table
from .fitting.fit_result import TableFitResult
from .fitting.inspection import inspect_table
from .model import TableModel
from .reading.table import Matrices, Table, TableBatch
from .reference import TableReference
from .schema.inference import infer_schema, inspect_columns
from .schema.inspection import Inspection
from .schema.kinds import Kind
from .schema.matrix import to_matrix
from .schema.overrides import parse_columns
from .schema.schema import Column, Schema
from .schema.unseen_labels import UnseenLabel, UnseenLabels
from .sources import open_table
from .unusualness import Unusualness
from .updating import TableUpdate, table_statistics, update_table
from .writer import TableWriter, open_writer

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
    "RowCoding",
    "Schema",
    "Support",
    "Table",
    "TableBatch",
    "TableDensity",
    "TableFitResult",
    "TableModel",
    "TableReference",
    "TableUpdate",
    "TableWriter",
    "UnseenLabel",
    "UnseenLabels",
    "Unusualness",
    "fit_table",
    "infer_schema",
    "inspect_columns",
    "inspect_table",
    "open_table",
    "open_writer",
    "parse_columns",
    "table_statistics",
    "to_matrix",
    "update_table",
]
