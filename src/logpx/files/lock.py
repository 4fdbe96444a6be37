"""One process at a time in a folder."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from logpx.errors import UsageError
from logpx.files.claims import claimed

__all__ = ["HOLDER", "exclusive", "process_lives"]

HOLDER = "holder.json"

_TRIES, _PAUSE_SECONDS = 10, 0.02


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a folder, so that no other process or thread does the same.

    The system ends the claim with the process, however it dies. Where a file system knows no claims, a file
    names the holder, and counts for as long as that process lives.

    Raises
    ------
    UsageError
        If another one holds the folder; names it.
    """
    with claimed(folder) as ours:
        holder = None if ours else _named_holder(folder)
        if holder is not None and _lives(holder):
            raise UsageError(
                f"process {holder.get('process')} on {holder.get('host')} uses this folder "
                f"since {holder.get('since')}",
                file=folder,
                fix=f"wait for it, stop it, or choose another folder; if it no longer runs, remove {HOLDER}",
            )
        with suppress(OSError):  # Without it the claim holds, and only lacks a name.
            for left in folder.glob(f".{HOLDER}.*"):  # By one that was killed while it wrote its name.
                left.unlink()
            _write(folder / HOLDER)
        try:
            yield
        finally:
            with suppress(OSError):
                os.unlink(folder / HOLDER)


def _named_holder(folder: Path) -> dict[str, Any] | None:
    # One that has just made its claim is about to write its name.
    for _ in range(_TRIES):
        holder = _holder(folder)
        if holder is not None:
            break
        time.sleep(_PAUSE_SECONDS)
    return holder


def _write(file: Path) -> None:
    holder = {
        "process": os.getpid(),
        "host": platform.node(),
        "boot": _boot(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text(json.dumps(holder), encoding="utf-8")
    os.replace(temporary, file)


def _holder(folder: Path) -> dict[str, Any] | None:
    try:
        holder = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return holder if isinstance(holder, dict) else None


def _lives(holder: dict[str, Any]) -> bool:
    if holder.get("host") != platform.node():
        return True  # Nobody here can tell.
    process = holder.get("process")
    return holder.get("boot") == _boot() and isinstance(process, int) and process_lives(process)


def process_lives(process: int) -> bool:
    """Return whether a process of this machine lives, as far as can be told."""
    if os.name == "nt":  # pragma: no cover - there, asking would end the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _boot() -> str | None:
    """Return what identifies this start of the machine; numbers of processes begin anew at the next."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
