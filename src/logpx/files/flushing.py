"""Flushing to the disk: content, and names."""

from __future__ import annotations

import os

__all__ = ["flush_file", "flush_folder"]


def flush_file(path: str | os.PathLike[str]) -> None:
    """Flush the content of a file."""
    # Windows flushes only what is open for writing.
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(path: str | os.PathLike[str]) -> None:
    """Flush the names of the files in a folder, on systems that can open one: Windows cannot."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
