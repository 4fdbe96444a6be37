"""What a command prints: data on stdout, everything else on stderr."""

from __future__ import annotations

import math
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import IO, Any

from logpx.cli.streams import optional_stderr, print_json, tell
from logpx.wording import with_standard_error

__all__ = ["Output", "nats"]

# Where the texts after labels begin, and the narrowest column of a table that has to fit.
_LABEL, _SHORTEST = 12, 8


def nats(mean: float | None, standard_error: float | None) -> str:
    """Return a mean with its standard error, as `with_standard_error` does, or what is known of both.

    Examples
    --------
    >>> nats(-3.14159, 0.0123), nats(-3.14159, 0.00012), nats(-3.14159, None), nats(None, None)
    ('-3.142 ± 0.012', '-3.14159 ± 0.00012', '-3.142', '-')
    """
    if mean is None:
        return "-"
    if standard_error is None or not math.isfinite(mean):
        return f"{mean:z.3f}"
    return with_standard_error(mean, standard_error)


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

    def narrow_table(self, rows: Sequence[Mapping[str, str]], spare: Sequence[str] = ()) -> None:
        """Print a table that fits the terminal: spare columns are left out in turn, then long cells are cut.

        The width is that of the terminal, or of the variable COLUMNS; 80 where neither says anything.
        """
        if not self.as_json:
            width = shutil.get_terminal_size().columns
            for name in spare:
                if _width(rows) <= width:
                    break
                rows = [{other: cell for other, cell in row.items() if other != name} for row in rows]
            _print_table(_cut(rows, width), sys.stdout)

    def wrapped(self, label: str, text: str) -> None:
        """Print a labelled paragraph of the answer that fits the terminal, as `narrow_table`."""
        width = shutil.get_terminal_size().columns
        lines = textwrap.wrap(_line(text), max(width - _LABEL, 20), break_on_hyphens=False) or [""]
        for place, line in enumerate(lines):
            self.text(f"{'' if place else label:<{_LABEL}}{line}")

    def document(self, document: Mapping[str, Any]) -> None:
        """Print the answer as one JSON object on stdout, if JSON is wanted; numbers not finite are null."""
        if self.as_json:
            from logpx.files.documents import plain

            print_json(plain(document))


def _width(rows: Sequence[Mapping[str, str]]) -> int:
    widths = _widths(rows)
    return sum(widths.values()) + 2 * (len(widths) - 1)


def _widths(rows: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """Return the width of every column that is not empty."""
    names = [name for name in (rows[0] if rows else {}) if any(row[name] for row in rows)]
    return {name: max(len(name), *(len(_line(row[name])) for row in rows)) for name in names}


def _cut(rows: Sequence[Mapping[str, str]], width: int) -> list[dict[str, str]]:
    """Return rows whose longest cells are cut until the table has a width, or cells are too short to cut."""
    widths = _widths(rows)
    while sum(widths.values()) + 2 * (len(widths) - 1) > width:
        first, *others = widths
        # What a row is about is cut last.
        widest = max(others or [first], key=lambda name: widths[name])
        if widths[widest] <= _SHORTEST:
            widest = first
        if widths[widest] <= _SHORTEST:
            break
        widths[widest] -= 1

    def cell(name: str, text: str) -> str:
        most = widths.get(name, 0)
        line = _line(text)
        return line if len(line) <= most else f"{line[: most - 1]}…"

    return [{name: cell(name, text) for name, text in row.items()} for row in rows]


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
