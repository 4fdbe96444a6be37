"""What a command prints: data on stdout, everything else on stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import IO, Any

from logpx.cli.streams import optional_stderr, tell

__all__ = ["Output", "nats"]


def nats(mean: float | None, standard_error: float | None) -> str:
    """Return a mean with its standard error: three decimals, more where the error is smaller than that.

    Examples
    --------
    >>> nats(-3.14159, 0.0123), nats(-3.14159, 0.00012), nats(-3.14159, None), nats(None, None)
    ('-3.142 ± 0.012', '-3.14159 ± 0.00012', '-3.142', '-')
    """
    if mean is None:
        return "-"
    if standard_error is None or not math.isfinite(mean):
        return f"{mean:z.3f}"
    digits = 3
    if 0.0 < standard_error < 0.01:
        digits = min(9, 1 - math.floor(math.log10(standard_error)))
    return f"{mean:z.{digits}f} ± {standard_error:.{digits}f}"


class Output:
    """Where a command prints.

    Parameters
    ----------
    as_json
        One JSON object on stdout instead of text.
    quiet
        Nothing on stderr but errors.
    """

    def __init__(self, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self.quiet = quiet

    def note(self, text: str) -> None:
        """Print a line for the reader on stderr."""
        if not self.quiet:
            tell(text)

    def note_table(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Print a table for the reader on stderr."""
        if not self.quiet:
            with optional_stderr():
                _print_table(rows, sys.stderr)

    def text(self, text: str) -> None:
        """Print a line of the answer on stdout, unless the answer is JSON."""
        if not self.as_json:
            print(text)

    def table(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Print a table of the answer on stdout, unless the answer is JSON."""
        if not self.as_json:
            _print_table(rows, sys.stdout)

    def document(self, document: Mapping[str, Any]) -> None:
        """Print the answer as one JSON object on stdout, if JSON is wanted; numbers not finite are null."""
        if self.as_json:
            from logpx.files.documents import plain

            print(json.dumps(plain(document), ensure_ascii=False, allow_nan=False))


def _print_table(rows: Sequence[Mapping[str, str]], stream: IO[str]) -> None:
    """Print rows with equal keys, without empty columns: by Rich on a terminal, as aligned text elsewhere."""
    names = [name for name in (rows[0] if rows else {}) if any(row[name] for row in rows)]
    if not names:
        return
    if stream.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*names, box=None, pad_edge=False, header_style="bold")
        for row in rows:
            table.add_row(*(Text(_line(row[name])) for name in names))
        Console(file=stream).print(table)
        return
    cells = [names, *([_line(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(names))]
    for line in cells:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(),
            file=stream,
        )


def _line(text: str) -> str:
    # A column of the user's table may be called anything, control characters included.
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
