"""Completion as strangers meet it: installed as documented in a new home, the key pressed in each shell."""

import os
import re
import select
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import logpx

# Not on Windows.
pty = pytest.importorskip("pty")

PAGE = (Path(__file__).parents[2] / "docs/command-line.md").read_text(encoding="utf-8")
LOOKS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\r|\x07")
# What is typed, and what it becomes.
TYPED = [
    ("logpx sc", "logpx score "),
    ("logpx fit --ste", "logpx fit --steps "),
    ("logpx fit my", "logpx fit my\\ table.csv "),
    ("logpx fit my\\ table.csv --model gaus", "--model gaussian "),
    ("logpx score mod", "logpx score model/"),
]


class Home:
    """A home with nothing in it but the command, and a folder to work in."""

    def __init__(self, place: Path) -> None:
        self.work, commands = place / "work", place / "commands"
        for folder in (self.work / "model", commands, place / ".local/share/fish/generated_completions"):
            folder.mkdir(parents=True)
        (self.work / "my table.csv").touch()
        command = commands / "logpx"
        source = Path(logpx.__file__).parents[1]
        command.write_text(f'#!/bin/sh\nPYTHONPATH="{source}" exec "{sys.executable}" -m logpx "$@"\n')
        command.chmod(0o755)
        path = f"{commands}:{os.environ['PATH']}"
        self.environment = {"HOME": str(place), "PATH": path, "TERM": "dumb", "LANG": "C.UTF-8"}

    def run(self, *words: str) -> str:
        """Return what a command prints."""
        ended = subprocess.run(
            words, cwd=self.work, env=self.environment, capture_output=True, text=True, timeout=60
        )
        return ended.stdout + ended.stderr


class Keyboard:
    """An interactive shell in a terminal."""

    def __init__(self, words: list[str], home: Home) -> None:
        self.terminal, inside = pty.openpty()
        ends = {"stdin": inside, "stdout": inside, "stderr": inside}
        self.process = subprocess.Popen(
            words, cwd=home.work, env=home.environment, start_new_session=True, **ends
        )
        os.close(inside)
        # The first prompt.
        self.expect("@ready@")

    def press(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def expect(self, text: str, seconds: float = 60.0) -> str:
        """Return what is shown until some text, or all that is shown if it does not come."""
        shown, until = "", time.monotonic() + seconds
        while text not in shown and time.monotonic() < until:
            if select.select([self.terminal], [], [], 0.2)[0]:
                try:
                    shown = LOOKS.sub("", shown + os.read(self.terminal, 4096).decode(errors="replace"))
                except OSError:
                    break
        return shown

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def installed(name: str, home: Home, *options: str) -> str:
    """Return a shell's program, with completion installed in it as the page says."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"COMPLETION IN {name.upper()} WAS NOT TESTED: the shell is not installed")
    assert "$ logpx --install-completion\n" in PAGE
    # Two commands: the shell would otherwise make way for the only one.
    assert "completion installed" in home.run(found, *options, "-c", "logpx --install-completion; true")
    return found


@pytest.fixture(params=["bash", "zsh"])
def keyboard(request: pytest.FixtureRequest, home: Home) -> Iterator[Keyboard]:
    found = installed(request.param, home, *(["-f"] if request.param == "zsh" else []))
    place = Path(home.environment["HOME"])
    with (place / f".{request.param}rc").open("a") as file:
        file.write("\nPS1='@ready@ '\n")
    opened = Keyboard([found, "-i"], home)
    yield opened
    opened.close()


def test_the_key_completes_what_is_typed(keyboard: Keyboard):
    for typed, whole in TYPED:
        keyboard.press(f"{typed}\t")
        assert whole in keyboard.expect(whole)
        # The line is discarded, and an empty one entered.
        keyboard.press("\x15\r")
        keyboard.expect("@ready@")


def test_fish_offers_what_is_typed(home: Home):
    fish = installed("fish", home)
    for typed, whole in TYPED:
        offered = home.run(fish, "-c", f"complete -C '{typed}'")
        assert shlex.split(whole)[-1] in re.split(r"[\t\n]", offered)


def completed(words: str, place: int, *options: str) -> subprocess.CompletedProcess[str]:
    """Ask as the script for bash does."""
    asked = {"_LOGPX_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(place)}
    command = [sys.executable, *options, "-m", "logpx"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **asked})


def test_commands_and_models_are_completed_and_nothing_heavy_is_loaded():
    assert completed("logpx rep", 1).stdout.split() == ["report"]
    ended = completed("logpx fit --model ", 3, "-X", "importtime")
    assert {"gaussian", "glow"} <= set(ended.stdout.split())
    loaded = set(re.findall(r"\| +([\w.]+)$", ended.stderr, re.MULTILINE))
    assert "typer" in loaded
    assert not loaded & {"torch", "numpy", "pyarrow", "sklearn", "scipy", "matplotlib"}


def test_completion_is_offered_and_documented():
    options = subprocess.run(
        [sys.executable, "-m", "logpx", "--help"], capture_output=True, text=True, timeout=60
    ).stdout
    for option in ("--install-completion", "--show-completion"):
        assert option in options
        assert f"$ logpx {option}\n" in PAGE


def test_the_script_is_printed_for_the_shell_that_asks(home: Home):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("COMPLETION IN BASH WAS NOT TESTED: the shell is not installed")
    shown = home.run(bash, "-c", "logpx --show-completion; true")
    assert "complete -o default -F _logpx_completion logpx" in shown
