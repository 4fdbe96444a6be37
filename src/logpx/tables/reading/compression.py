"""Compressed text: how each compression is read, written, and undone on a command line."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, cast

import pyarrow as pa

from logpx.errors import DataError

__all__ = ["COMPRESSIONS", "Compression", "compression_of", "content_command", "open_bytes"]


@dataclass(frozen=True, kw_only=True)
class Compression:
    """A way of compressing a file.

    Attributes
    ----------
    signature : bytes
        The first bytes of every such file.
    command : str
        The command that writes the content of such a file to standard output.
    reader : callable
        Opens a stream of the content, given the file's name.
    writer : callable
        Returns a stream that compresses into another one, which stays open.
    """

    signature: bytes
    command: str
    reader: Callable[[str], Any]
    writer: Callable[[IO[bytes]], IO[bytes]]


class _XzFile(lzma.LZMAFile):
    """An .xz file whose damage is an OSError, as it is for the other compressions."""

    def read(self, size: int | None = -1) -> bytes:
        return self._checked(super().read, size)

    def read1(self, size: int = -1) -> bytes:
        return self._checked(super().read1, size)

    def _checked(self, read: Callable[[Any], bytes], size: int | None) -> bytes:
        try:
            return read(size)
        except (EOFError, lzma.LZMAError) as error:
            raise OSError(str(error)) from error


class _KeptOpen:
    """A stream that Arrow may write to but not close."""

    closed = False

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, content: bytes) -> int:
        return self._stream.write(content)

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        pass


def _arrow_reader(codec: str) -> Callable[[str], Any]:
    return lambda file: pa.input_stream(file, compression=codec)


def _arrow_writer(codec: str) -> Callable[[IO[bytes]], IO[bytes]]:
    return lambda stream: cast("IO[bytes]", pa.CompressedOutputStream(_KeptOpen(stream), codec))


def _gzip_writer(stream: IO[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", gzip.GzipFile(filename="", fileobj=stream, mode="wb", mtime=0))


def _bzip2_writer(stream: IO[bytes]) -> IO[bytes]:
    return bz2.BZ2File(stream, mode="wb")


def _xz_writer(stream: IO[bytes]) -> IO[bytes]:
    return lzma.LZMAFile(stream, mode="wb")


COMPRESSIONS: Mapping[str, Compression] = {
    ".gz": Compression(
        signature=b"\x1f\x8b", command="gzip -dc", reader=_arrow_reader("gzip"), writer=_gzip_writer
    ),
    ".bz2": Compression(
        signature=b"BZh", command="bzip2 -dc", reader=_arrow_reader("bz2"), writer=_bzip2_writer
    ),
    ".zst": Compression(
        signature=b"\x28\xb5\x2f\xfd",
        command="zstd -dc",
        reader=_arrow_reader("zstd"),
        writer=_arrow_writer("zstd"),
    ),
    ".xz": Compression(signature=b"\xfd7zXZ\x00", command="xz -dc", reader=_XzFile, writer=_xz_writer),
    ".lz4": Compression(
        signature=b"\x04\x22\x4d\x18",
        command="lz4 -dc",
        reader=_arrow_reader("lz4"),
        writer=_arrow_writer("lz4"),
    ),
}


def compression_of(file: str) -> Compression | None:
    """Return the compression that a file's name ends in, or None.

    Examples
    --------
    >>> compression_of("a.csv.XZ").command, compression_of("a.csv")
    ('xz -dc', None)
    """
    return COMPRESSIONS.get(os.path.splitext(file)[1].lower())


def content_command(file: str) -> str:
    """Return the command that writes the content of a file, decompressed, to standard output.

    Examples
    --------
    >>> content_command("a.csv"), content_command("b c.csv.gz")
    ('cat a.csv', "gzip -dc 'b c.csv.gz'")
    """
    compression = compression_of(file)
    return f"{'cat' if compression is None else compression.command} {shlex.quote(file)}"


def open_bytes(file: str) -> Any:
    """Open a file for reading, decompressing it if its name says so.

    Raises
    ------
    DataError
        If the file cannot be opened.
    """
    compression = compression_of(file)
    try:
        return pa.input_stream(file, compression=None) if compression is None else compression.reader(file)
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"the file cannot be opened: {error}", file=file, fix="check its permissions"
        ) from None
