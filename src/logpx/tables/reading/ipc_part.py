"""An Arrow IPC file (Feather) as a part of a table."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from logpx.tables.reading.arrow_part import ArrowPart

__all__ = ["IpcPart"]

_SIGNATURE = b"ARROW1"


class IpcPart(ArrowPart):
    """An Arrow IPC file or stream, read batch by batch; a Feather file is one, unless of version 1."""

    format = "Arrow"

    def _inspected(self) -> tuple[pa.Schema, int]:
        with pa.OSFile(self.file) as source:
            if self._is_file(source):
                reader = pa.ipc.open_file(source)
                return reader.schema, int(reader.count_rows())
            stream = pa.ipc.open_stream(source)
            return stream.schema, sum(batch.num_rows for batch in stream)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        with pa.OSFile(self.file) as source:
            if not self._is_file(source):
                yield from pa.ipc.open_stream(source)
                return
            reader = pa.ipc.open_file(source)
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index)

    @staticmethod
    def _is_file(source: pa.NativeFile) -> bool:
        head: bytes = source.read(len(_SIGNATURE))
        source.seek(0)
        return head == _SIGNATURE
