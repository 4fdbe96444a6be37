import io
import subprocess
import sys

import pytest

from logpx.training.history import HistoryRecord
from logpx.training.progress import Bar, Call, Lines, Reporter, reporter_for

RECORD = HistoryRecord(epoch=3, step=70, seconds=1.5, train=-1.25, validation=-1.5, validation_error=0.01)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("progress", "on_terminal", "expected"),
    [
        (None, False, Reporter),
        (None, True, Bar),
        (True, False, Lines),
        (True, True, Bar),
        (False, True, Reporter),
    ],
)
def test_choice(progress, on_terminal, expected, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal() if on_terminal else io.StringIO())
    assert type(reporter_for(progress)) is expected


def test_function_gets_every_record():
    records = []
    reporter = reporter_for(records.append)
    assert isinstance(reporter, Call)
    reporter.record(RECORD)
    assert records == [RECORD]


def test_lines_are_rare_but_the_last_is_printed(capsys):
    with Lines(interval=1000.0) as lines:
        for step in range(5):
            lines.record(HistoryRecord(epoch=0, step=step, seconds=0.0))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["epoch 0, step 0, 0.0 s", "epoch 0, step 4, 0.0 s"]


def test_line_shows_the_nats(capsys):
    with Lines() as lines:
        lines.record(RECORD)
    assert (
        capsys.readouterr().err == "epoch 3, step 70, train -1.250, validation -1.500 ± 0.010 nats, 1.5 s\n"
    )


def test_bar_draws_on_stderr_alone(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "160")
    with Bar() as bar:
        bar.advance(0.5)
        bar.record(RECORD)
    assert "50%" in terminal.getvalue()
    assert "-1.500 ± 0.010 nats" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_the_generator_of_python_is_left_alone():
    code = (
        "import random; random.seed(0); before = random.getstate(); import logpx.tables, logpx.storage\n"
        "from logpx.training.progress import Bar\n"
        "with Bar() as bar: bar.advance(0.5)\n"
        "import torch, logpx\n"
        "logpx.fit(logpx.latent.GaussianMixture(3, 2), torch.arange(40.0).view(20, 2).sin(), max_steps=2)\n"
        "assert random.getstate() == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
