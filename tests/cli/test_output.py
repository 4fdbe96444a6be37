"""What goes to stdout and what to stderr, and how tables are printed."""

import io
import json
import math
import sys

import pytest

from logpx.cli.output import Output, nats

ROWS = [
    {"name": "a", "empty": "", "value": "1.5"},
    {"name": "a\nlong\x1b[31m name", "empty": "", "value": ""},
]


@pytest.mark.parametrize("quiet", [False, True])
def test_notes_go_to_stderr(capsys, quiet: bool):
    out = Output(as_json=False, quiet=quiet)
    out.note("a note")
    out.note_table(ROWS)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert (captured.err == "") == quiet


@pytest.mark.parametrize("as_json", [False, True])
def test_answer_is_text_or_json(capsys, as_json: bool):
    out = Output(as_json, quiet=False)
    out.text("an answer")
    out.table(ROWS)
    out.document({"value": float("nan"), "name": "ü"})
    printed = capsys.readouterr().out
    if as_json:
        assert json.loads(printed) == {"value": None, "name": "ü"}
    else:
        assert printed.startswith("an answer\nname")


def test_table_in_a_pipe_is_aligned_text(capsys):
    Output(as_json=False, quiet=False).table(ROWS)
    assert capsys.readouterr().out == f"{'name':18}value\n{'a':18}1.5\na long?[31m name\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("no_color", [False, True])
def test_table_on_a_terminal(monkeypatch: pytest.MonkeyPatch, no_color: bool):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    Output(as_json=False, quiet=False).table([{"name": "[red]x[/red]", "value": "1"}])
    printed = terminal.getvalue()
    assert "[red]x[/red]" in printed
    assert "\x1b[3" not in printed


def test_nothing_to_print(capsys):
    Output(as_json=False, quiet=False).table([])
    assert capsys.readouterr().out == ""


def test_nats():
    assert nats(-1.23456, 0.5) == "-1.235 ± 0.500"
    assert nats(2.0, None) == "2.000"
    assert nats(-1e-9, 0.004) == "0.0000 ± 0.0040"
    assert nats(-1.0, 0.0) == "-1.000 ± 0.000"
    assert nats(-math.inf, math.nan) == "-inf"
    assert nats(-1.0, math.inf) == "-1.000 ± inf"
    assert nats(None, None) == "-"


def test_narrow_table_fits_and_cuts_what_a_row_is_about_last(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    rows = [{"column": "a name of 20 letters", "range": "x" * 60, "why": "because"}]
    Output(as_json=False, quiet=False).narrow_table(rows, spare=("why",))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[1].startswith("a name of 20 letters  xxx")
    assert lines[1].endswith("…")
    assert "because" not in lines[1]
    monkeypatch.setenv("COLUMNS", "200")
    Output(as_json=False, quiet=False).narrow_table(rows, spare=("why",))
    assert "because" in capsys.readouterr().out
