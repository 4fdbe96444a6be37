"""What ``--json`` prints has the fields that the documentation lists, and no others."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from logpx.cli import fitting
from logpx.cli.app import app
from logpx.cli.updating import updated_model

PAGE = (Path(__file__).parents[2] / "docs/json.md").read_text(encoding="utf-8")
SHARED = {"verdict": "A verdict", "chosen": "A candidate", "candidates": "A candidate", "schema": "A column"}
_WITH_PARTS = {"check", "images", "lineage", "models", "differences", "columns", "scales", "explained"}
WITH_VERDICT = {"fit", "resume", "evaluate"}


def text_of(section: str) -> str:
    """Return the text of a section of the page."""
    return PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]


def occasions(section: str) -> dict[str, str]:
    """Return the documented fields of a section, and when each is there; empty for always."""
    rows = re.findall(r"^\| (`.*?) \| .* \| (.*?) ?\|$", text_of(section), re.MULTILINE)
    return {name: when for names, when in rows for name in re.findall(r"`([\w.]+)(?:\[\])?`", names)}


def fields(section: str) -> dict[str, bool]:
    """Return the documented fields of a section, and whether each is always there."""
    return {name: not when for name, when in occasions(section).items()}


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
        for name in _WITH_PARTS & set(found):
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
    "anomalies {exact} {test} -o {new}.csv --top 2 --explain",
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


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def resumed(logpx: Callable[..., Any], *words: object) -> dict[str, Any]:
    """Return the answer of `logpx resume` to work that a signal has ended before its model was saved."""
    folder = words[list(words).index("-o") + 1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logpx.storage.save_or_keep", _interrupted)
        assert logpx(*words, "-q").status == 130
    ended = logpx("resume", folder, "--json", "-q")
    assert ended.status == 0, ended.err
    return ended.document


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ({"a fit", "a fit of a table"}, "fit {train} --model gaussian --steps 3"),
        ({"a fit", "a fit of images"}, "fit {images} --model realnvp --steps 1"),
        ({"an update"}, "update {exact} {test} --seed 1"),
    ],
)
def test_fields_of_what_is_resumed_are_documented(
    logpx, exact: Path, tables: Path, images: Path, tmp_path: Path, kinds: set[str], words: str
):
    places = {"train": tables / "train.csv", "test": tables / "test.csv", "images": images, "exact": exact}
    document = resumed(logpx, *words.format(**places).split(), "-o", tmp_path / "m")
    check(document, "resume")
    known = occasions("resume").items()
    assert set(document) == {name for name, when in known if not when or set(when.split(", ")) & kinds}


def test_an_update_without_an_end_or_with_one_before_has_three_fields(
    logpx, exact: Path, tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    words = ["update", exact, tables / "test.csv", "-o", tmp_path / "m", "--json", "-q"]
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "updated_model", lambda *given: replace(updated_model(*given), model=None))
        document = logpx(*words).document
        assert document == {"model": None, "interrupted": True, "resume": f"logpx resume {tmp_path / 'm'}"}
        assert logpx("resume", tmp_path / "m", "--json", "-q").document == document
    assert logpx("resume", tmp_path / "m", "-q").status == 0
    words = ["update", tmp_path / "m", tables / "test.csv", "-o", tmp_path / "m", "--overwrite", "-q"]
    with monkeypatch.context() as patch:
        patch.setattr("logpx.storage.runs.KeptFits.clear", _interrupted)
        assert logpx(*words).status == 130
    ended = logpx("resume", tmp_path / "m", "--json", "-q").document
    assert ended == {"model": str(tmp_path / "m"), "interrupted": False, "resume": None}
    for section in ("update", "resume"):
        assert "only the first three are there" in " ".join(text_of(section).split())
        assert set(list(fields(section))[:3]) == set(ended)


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
    assert words - set(re.findall(r"^## (.*)$", PAGE, re.MULTILINE)) == set()
