"""Every command that a page shows is run, on small data and with little time."""

import gzip
import json
import lzma
import re
import shlex
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from logpx.cli import main
from logpx.cli.app import app
from logpx.errors import LogpxError

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "AGENTS.md")),
    *(ROOT / "docs").rglob("*.md"),
]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What sets a machine up or tests the project itself; the targets of make are held to exist elsewhere.
ELSEWHERE = ("make ", "pip install ", ".venv/bin/python -m ")
LESS = (
    (r"--time \S+", "--time 4s"),
    (r"--steps \S+", "--steps 20"),
    (r"--trials \S+", "--trials 2"),
    (r"--exactness \S+", "--exactness 5"),
    (r"--nproc-per-node \S+", "--nproc-per-node 2"),
    (r"-n 1e7", "-n 1e4"),
)
WITH_A_LIMIT = re.compile(r"--time|--steps|logpx (?!fit)")


def commands() -> dict[str, str]:
    """Return the commands of all pages, each once, with the page that shows it first."""
    found: dict[str, str] = {}
    for page in sorted(path for path in PAGES if "_build" not in path.parts):
        for block in BLOCK.findall(page.read_text(encoding="utf-8")):
            prompted = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
            for line in prompted or block.splitlines():
                command = re.sub(r"\s+#.*", "", line).strip()
                if not command.startswith(ELSEWHERE):
                    found.setdefault(command, page.relative_to(ROOT).as_posix())
    return found


COMMANDS = commands()


def people(rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    age = random.integers(18, 80, rows)
    carat = random.gamma(2.0, 0.4, rows)
    cut = random.choice(["fair", "good", "ideal"], rows)
    return pd.DataFrame(
        {
            "id": [f"r{seed}-{row}" for row in range(rows)],
            "time": np.datetime64("2026-01-01T00:00:00") + np.arange(rows) * np.timedelta64(7, "m"),
            "age": age,
            "sex": random.choice(["Female", "Male"], rows),
            "income": np.exp(9.0 + 0.02 * age + 0.3 * random.normal(size=rows)),
            "price": np.exp(6.0 + carat + 0.2 * random.normal(size=rows)),
            "carat": carat,
            "cut": cut,
            "zip": random.choice([10115, 20095, 80331], rows),
        }
    )


def write_tables(place: Path) -> None:
    names = ("table", "train", "test", "new", "old", "adult")
    for seed, name in enumerate(names):
        frame = people(200, seed)
        frame.to_csv(place / f"{name}.csv", index=False)
        frame.to_parquet(place / f"{name}.parquet")
    frame = people(200, 0)
    holes = frame.drop(columns=["id", "time"])
    holes.mask(np.random.default_rng(9).random(holes.shape) < 0.1).to_csv(place / "holes.csv", index=False)
    answers = frame.assign(person_weight=np.random.default_rng(8).uniform(0.5, 2.0, 200))
    answers.loc[:5, "income"] = -9
    answers.loc[6:9, "age"] = -999
    answers.to_csv(place / "survey.csv", index=False)
    frame[["age", "sex"]][:3].to_csv(place / "rows.csv", index=False)
    (place / "new.csv.xz").write_bytes(lzma.compress((place / "new.csv").read_bytes()))
    (place / "parts").mkdir()
    for number in range(3):
        people(80, number).to_parquet(place / f"parts/{number}.parquet")


def write_images(place: Path) -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(place / "images.npz", images=pixels)
    for folder in ("images", "new", "folder"):
        (place / folder).mkdir()
    for number in range(20):
        Image.fromarray(pixels[number]).save(place / f"images/{number}.png")
        Image.fromarray(pixels[number + 20]).save(place / f"new/{number}.png")
    for part in ("train", "t10k"):
        head, labels = struct.pack(">4I", 0x803, 60, 8, 8), struct.pack(">2I", 0x801, 60)
        for kind, content in (
            ("images-idx3", head + pixels.tobytes()),
            ("labels-idx1", labels + bytes(number % 10 for number in range(60))),
        ):
            (place / f"folder/{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))


def run(*words: object) -> None:
    assert main([str(word) for word in words]) == 0


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file and model that the pages name."""
    place = tmp_path_factory.mktemp("pages")
    write_tables(place)
    write_images(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        run("inspect", "table.csv", "-o", "schema.json", "-q")
        for name in ("a", "gaussian"):
            run("fit", "table.csv", "-o", name, "--model", "gaussian", "--time", "20s", "-q")
        for name in ("b", "c", "gmm", "tabular"):
            run("fit", "table.csv", "-o", name, "--model", "gmm", "--components", "2", "--time", "20s", "-q")
        run("fit", "holes.csv", "-o", "holed", "--model", "gmm", "--components", "2", "--time", "20s", "-q")
        for name, kind in (("pictured", "realnvp"), ("flow", "realnvp"), ("vae", "vae")):
            run("fit", "images.npz", "-o", name, "--model", kind, "--steps", "3", "-q")
    return place


@pytest.fixture
def place(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder that is the present one, with the data sets and the home of nobody else."""
    copy = tmp_path / "here"
    shutil.copytree(prepared, copy)
    monkeypatch.chdir(copy)
    monkeypatch.setenv("LOGPX_DATA", str(copy / "folder"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return copy


def model_for(command: str) -> str:
    """Return the model that the page has in mind where it says `model/`."""
    if "png" in command or "mnist" in command:
        return "pictured"
    return "holed" if "holes.csv" in command else "tabular"


def put_models(command: str, place: Path) -> None:
    """Put the model there that the command reads, and take away what it writes."""
    if "nsf" in command or "resume model/" in command:
        # What flows of numbers are fitted to.
        people(200, 0).drop(columns=["sex", "cut"]).to_csv(place / "table.csv", index=False)
    if "resume model/" in command:
        begun = ["fit", "table.csv", "-o", "model", "--model", "maf", "--steps", "1000000", "--time", "3s"]
        assert main(begun) == 75
    else:
        shutil.copytree(place / model_for(command), place / "model")
    output = re.search(r"-o (\S+)", command)
    if output and "--overwrite" not in command:
        written = place / output[1].rstrip("/")
        shutil.rmtree(written, ignore_errors=True) if written.is_dir() else written.unlink(missing_ok=True)
    if output and "--overwrite" in command and output[1] != "model/":
        (place / output[1]).touch()


@pytest.fixture
def run_command(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Path], int]:
    """Run a line: in this process, or in a shell if it is for one."""

    def run_line(command: str, place: Path) -> int:
        words = shlex.split(command)
        if words[0] == "logpx" and "|" not in words and "completion" not in command:
            return main(words[1:])
        python = shlex.quote(sys.executable)
        script = (
            f'logpx() {{ {python} -m logpx "$@"; }}; torchrun() {{ {python} -m torch.distributed.run "$@"; }}'
        )
        paths = ":".join(path for path in sys.path if path)
        ended = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f"export PYTHONPATH={shlex.quote(paths)}; {script}\n{command}"],
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.returncode

    return run_line


@pytest.fixture
def not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the page of `logpx explore` be ready, and end."""
    explore = pytest.importorskip("logpx.explore")
    pytest.importorskip("uvicorn")

    def ready(self: Any, started: Callable[[], object]) -> None:
        self._socket.close()
        started()

    monkeypatch.setattr(explore.Server, "run", ready)
    monkeypatch.setattr("webbrowser.open", lambda address: True)


@pytest.mark.slow
@pytest.mark.enable_socket
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("not_waited_for")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_a_page_ends_well(command: str, place: Path, run_command):
    pytest.importorskip("matplotlib")
    pytest.importorskip("PIL")
    put_models(command, place)
    for pattern, less in LESS:
        command = re.sub(pattern, less, command)
    if not WITH_A_LIMIT.search(command):
        command += " --time 4s"
    if " -o " not in command and "logpx fit" in command:
        command += " -o model/"
    # Time ends again what has a million steps to go.
    assert run_command(command, place) == (75 if "resume model/" in command else 0)
    for output in re.findall(r"-o (\S+)", command):
        assert (place / output).exists()


ANSWERS = (
    "inspect table.csv",
    "fit table.csv -o fitted --model gaussian",
    "score model/ new.csv -o scores.csv",
    "sample model/ -n 5 -o samples.csv",
    "evaluate model/ test.csv",
    "compare a/ b/ test.csv",
    "predict model/ new.csv --target price -o predicted.csv",
    "anomalies model/ new.csv -o found.csv",
    "drift model/ new.csv",
    "impute model/ new.csv -o filled.csv",
    "cluster model/ new.csv -o clusters.csv",
    "update model/ new.csv -o updated",
    "info model/",
    "report model/ -o report.html",
    "explore model/ --no-browser",
)


@pytest.mark.slow
@pytest.mark.enable_socket
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("not_waited_for")
def test_every_command_answers_with_one_object(place: Path, capfd: pytest.CaptureFixture[str]):
    pytest.importorskip("matplotlib")
    put_models("logpx", place)
    capfd.readouterr()
    for command in ANSWERS:
        assert main([*command.split(), "--json"]) == 0, command
        assert isinstance(json.loads(capfd.readouterr().out), dict), command
    # To resume is tested beside the fits that it goes on with.
    names = {one.name or one.callback.__name__ for one in app.registered_commands}
    assert {command.split()[0] for command in ANSWERS} == names - {"resume"}


def test_commands_were_found():
    assert len(COMMANDS) > 60
    names = {command.split()[1] for command in COMMANDS if command.startswith("logpx ")}
    assert {"inspect", "fit", "score", "sample", "report", "explore", "resume", "update"} <= names


def test_the_error_that_a_page_shows_as_json_has_the_fields_of_errors(capfd: pytest.CaptureFixture[str]):
    page = (ROOT / "docs/command-line.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert main(["info", "nowhere", "--json"]) != 0
    assert json.loads(shown)["error"].keys() == json.loads(capfd.readouterr().out)["error"].keys()
    assert issubclass(getattr(__import__("logpx").errors, json.loads(shown)["error"]["type"]), LogpxError)
