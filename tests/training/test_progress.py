import io
import re
import subprocess
import sys

import numpy as np
import pytest

import logpx
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


def test_lines_of_a_table_name_the_model_and_are_in_the_units_of_its_result(capsys):
    x = 50.0 * np.random.default_rng(0).normal(size=(200, 2))
    result = logpx.fit("nice", {"a": x[:, 0], "b": x[:, 1]}, max_steps=20, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("nice on chosen scales: epoch ") for line in lines)
    shown = float(re.search(r"validation (\S+)", lines[-1])[1])
    # In the units that the flow is trained in they are 2 log 50 nats higher.
    assert shown == pytest.approx(result.chosen.validation, abs=0.5)


def test_lines_of_images_are_in_bits_and_those_of_a_flow_name_its_class(capsys):
    images = np.random.default_rng(0).integers(0, 4, (40, 2, 2)).astype(np.uint8)
    logpx.fit("realnvp", images, max_steps=1, progress=True)
    assert re.match(r"realnvp: .* bits per dimension", capsys.readouterr().err)
    logpx.fit(logpx.flows.NICE(2, hidden=(4,)), images.reshape(80, 2) * 1.0, max_steps=1, progress=True)
    assert re.match(r"NICE: .* nats", capsys.readouterr().err)


def test_a_bar_names_what_is_fitted(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Bar("a [model]") as bar:
        bar.advance(0.5)
    assert "a [model]" in terminal.getvalue()


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


@pytest.mark.slow
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
