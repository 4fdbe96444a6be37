"""An ORC file as a part of a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from logpx.errors import DataError
from logpx.tables.reading.arrow_part import ArrowPart

__all__ = ["OrcPart"]


class OrcPart(ArrowPart):
    """An ORC file, read stripe by stripe."""

    format = "ORC"

    def _inspected(self) -> tuple[pa.Schema, int]:
        file = self._open()
        return file.schema, int(file.nrows)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        file = self._open()
        for stripe in range(file.nstripes):
            yield file.read_stripe(stripe)

    def _open(self) -> Any:
        try:
            from pyarrow import orc
        except ImportError:  # Not every build of Arrow has it.
            raise DataError(
                "this build of pyarrow cannot read ORC files",
                file=self.file,
                fix="write the table as Parquet",
            ) from None
        return orc.ORCFile(self.file)
