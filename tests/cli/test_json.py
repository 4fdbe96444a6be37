"""What ``--json`` prints has the fields that the documentation lists, and no others."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from logpx.cli.app import app

PAGE = (Path(__file__).parents[2] / "docs/json.md").read_text(encoding="utf-8")
SHARED = {"verdict": "A verdict", "chosen": "A candidate", "candidates": "A candidate", "schema": "A column"}
WITH_VERDICT = {"fit", "evaluate"}


def text_of(section: str) -> str:
    """Return the text of a section of the page."""
    return PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]


def fields(section: str) -> dict[str, bool]:
    """Return the documented fields of a section, and whether each is always there."""
    rows = re.findall(r"^\| (`.*?) \| .* \| (.*?) ?\|$", text_of(section), re.MULTILINE)
    return {name: not when for names, when in rows for name in re.findall(r"`([\w.]+)(?:\[\])?`", names)}


def meanings(section: str) -> dict[str, str]:
    """Return what is said of the documented fields of a section."""
    rows = re.findall(r"^\| (`.*?) \| (.*) \| .*?\|$", text_of(section), re.MULTILINE)
    return {name: said for names, said in rows for name in re.findall(r"`([\w.]+)(?:\[\])?`", names)}


def objects(document: Mapping[str, Any], command: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Go through the object and the shared ones within, each with the section that lists its fields."""
    yield command, document
    for name, section in SHARED.items():
        inner = document.get(name)
        if section == "A verdict" and command not in WITH_VERDICT:
            continue
        if section == "A column" and not isinstance(inner, list):
            continue
        for one in inner if isinstance(inner, list) else [inner]:
            if one is not None:
                yield section, one


@pytest.fixture
def images(tmp_path: Path) -> Path:
    path = tmp_path / "images.npy"
    np.save(path, np.random.default_rng(0).integers(0, 4, (40, 4, 4), dtype=np.uint8))
    return path


class Serving:
    """A server that ends once it has started."""

    address = "http://127.0.0.1:1/#token"

    def __init__(self, *given: object) -> None:
        pass

    def run(self, started: Callable[[], object]) -> None:
        started()


def check(document: Mapping[str, Any], command: str) -> None:
    for section, found in objects(document, command):
        known = fields(section)
        assert set(found) - set(known) == set(), section
        assert {name for name, always in known.items() if always} - set(found) == set(), section
        for name in {"check", "images", "lineage", "models", "differences", "columns", "scales"} & set(found):
            parts = found[name] if isinstance(found[name], list) else [found[name]]
            named = {key for part in parts if isinstance(part, dict) for key in part}
            assert named <= set(re.findall(r"`(\w+)`", meanings(section)[name])), (section, name)


RUNS = [
    "inspect {train}",
    "fit {train} -o {new} --model gaussian",
    "score {exact} {test} -o {new}.csv",
    "score {exact} {test} -o {new}/ --shard 1/1",
    "score {bound} {counts} -o {new}.csv --target a",
    "sample {exact} -n 3 -o {new}.csv",
    "sample {exact} -n 3 --given a=1 -o {new}.csv",
    "evaluate {exact} {test}",
    "compare {exact} {copy} {test}",
    "predict {exact} {test} --target a -o {new}.csv",
    "anomalies {exact} {test} -o {new}.csv",
    "drift {exact} {test}",
    "impute {exact} {test} -o {new}.csv",
    "impute {exact} {test} -o {new}/ --shard 1/1",
    "cluster {exact} {test} -o {new}.csv",
    "update {exact} {test} -o {new}",
    "info {exact}",
    pytest.param("sample {exact} -n 50 -o {new}.csv --check {train}", marks=pytest.mark.slow),
    pytest.param("anomalies {test} -o {new}.csv", marks=pytest.mark.slow),
    pytest.param("report {exact} -o {new}.html", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("words", RUNS)
def test_fields_of_answers_are_documented(
    logpx, exact: Path, bound: Path, tables: Path, tmp_path: Path, words: str
):
    places = {
        "train": tables / "train.csv",
        "test": tables / "test.csv",
        "counts": tables / "test-counts.csv",
    }
    if "{copy}" in words:
        places["copy"] = Path(shutil.copytree(exact, tmp_path / "copy"))
    given = words.format(exact=exact, bound=bound, new=tmp_path / "new", **places).split()
    ended = logpx(*given, "--json", "-q")
    assert ended.status == 0
    check(ended.document, given[0])


def test_fields_of_answers_on_images_are_documented(logpx, images: Path, tmp_path: Path):
    for words in (
        f"fit {images} -o {tmp_path / 'm'} --model realnvp --steps 1",
        f"score {tmp_path / 'm'} {images} -o {tmp_path / 's.csv'}",
        f"sample {tmp_path / 'm'} -n 2 -o {tmp_path / 's.npz'}",
        f"evaluate {tmp_path / 'm'} {images}",
    ):
        ended = logpx(*words.split(), "--json", "-q")
        assert ended.status in (0, 75)
        check(ended.document, words.split()[0])


def test_fields_of_errors_and_of_the_address_are_documented(
    logpx, exact: Path, monkeypatch: pytest.MonkeyPatch
):
    document = logpx("resume", "nowhere", "--json").document
    assert set(document) == {"error"}
    check(document["error"], "An error")
    monkeypatch.setattr("logpx.explore.Server", Serving)
    check(logpx("explore", exact, "--no-browser", "--json", "-q").document, "explore")


def test_every_command_has_its_section():
    words = {str(command.name or command.callback.__name__) for command in app.registered_commands}
    assert words - set(re.findall(r"^## (.*)$", PAGE, re.MULTILINE)) == {"resume"}
