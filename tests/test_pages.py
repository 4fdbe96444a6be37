"""The way to the pages, the course and its notebooks, and what every figure needs."""

import importlib.util
import json
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+\.md)")
TASKS = {
    "I have a table": "tables",
    "Find strange rows": "anomalies",
    "Fill holes": "missing-cells",
    r"p(y \| x)": "conditions",
    "Compare models": "comparing",
    "I have a posterior": "posteriors",
    "I compose a flow": "flows",
    "I have images": "images",
    "10⁹ rows": "many-rows",
}
COURSE = re.findall(
    r"^\d+\. \[.*?\]\((.*?)\.md\)", (DOCS / "course/index.md").read_text("utf-8"), re.MULTILINE
)
PEERS = ("scikit-learn", "zuko", "nflows", "sbi", "pyod", "sdv")
FIGURES = sorted(path.stem for path in (DOCS / "figures").glob("*.png") if not path.stem.endswith("-dark"))


def text(page: str) -> str:
    return (DOCS / f"{page}.md").read_text(encoding="utf-8")


def links(page: str) -> list[str]:
    """Return the pages that a page links to, in its text or in the list of contents beside it."""
    contents = re.findall(r"^```{toctree}\n(.*?)^```", text(page), re.MULTILINE | re.DOTALL)
    listed = [f"{line}.md" for block in contents for line in re.findall(r"^[a-z].*$", block, re.MULTILINE)]
    return [*LINK.findall(text(page)), *listed]


def clicks(start: str) -> dict[str, int]:
    """Return how many links lead from one page to each of the others."""
    found, border = {start: 0}, [start]
    while border:
        page = border.pop(0)
        targets = [((DOCS / page).parent / link).resolve() for link in links(page)]
        names = [path.relative_to(DOCS).as_posix()[:-3] for path in targets if path.is_relative_to(DOCS)]
        border += (new := [name for name in dict.fromkeys(names) if name not in found])
        found |= dict.fromkeys(new, found[page] + 1)
    return found


@cache
def extension(name: str) -> ModuleType:
    pytest.importorskip("sphinx")
    spec = importlib.util.spec_from_file_location(name, DOCS / f"extensions/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("task", TASKS)
def test_each_task_has_its_page_on_the_front_page(task: str):
    (row,) = [line for line in text("index").splitlines() if line.startswith(f"| {task} |")]
    assert f"({TASKS[task]}.md)" in row


def test_every_page_is_two_clicks_away_at_most():
    away = clicks("index")
    pages = {
        path.relative_to(DOCS).as_posix()[:-3] for path in DOCS.rglob("*.md") if "_build" not in path.parts
    }
    assert {page: away.get(page) for page in pages if away.get(page, 9) > 2} == {}


def test_the_course_has_thirteen_pages_in_the_order_of_its_index():
    titles = [text(f"course/{page}").splitlines()[0] for page in COURSE]
    assert [title.split()[1] for title in titles] == [f"{number}." for number in range(1, 14)]
    assert {path.stem for path in (DOCS / "course").glob("*.md")} == {"index", *COURSE}


@pytest.mark.parametrize("page", COURSE)
def test_a_page_of_the_course_has_formula_code_figure_exercise_and_folded_solution(page: str):
    whole = text(f"course/{page}")
    lesson, _, exercise = whole.partition("**Exercise.**")
    for part in ("$$", "```python\n", "](../figures/"):
        assert part in lesson
    assert re.search(r"<details>\n<summary>Solution</summary>\n\n.*\n</details>\n", exercise, re.DOTALL)
    (block,) = re.findall(r"^```python\n(.*?)^```", lesson, re.MULTILINE | re.DOTALL)
    assert "logpx" in block
    assert len([line for line in block.splitlines() if line.strip()]) <= 26
    # As many characters as a block of code shows without scrolling.
    blocks = re.findall(r"^```python\n(.*?)^```", whole, re.MULTILINE | re.DOTALL)
    assert [line for code in blocks for line in code.splitlines() if len(line) > 90] == []


def check_cell(cell: dict[str, Any]):
    """Hold what the schema of notebooks 4.5 asks of a cell."""
    assert re.fullmatch(r"[a-zA-Z0-9-_]{1,64}", cell["id"])
    assert isinstance(cell["metadata"], dict)
    assert isinstance(cell["source"], str)
    if cell["cell_type"] == "code":
        assert set(cell) == {"id", "cell_type", "metadata", "source", "outputs", "execution_count"}
        assert (cell["outputs"], cell["execution_count"]) == ([], None)
    else:
        assert set(cell) - {"attachments"} == {"id", "cell_type", "metadata", "source"}
        assert cell["cell_type"] == "markdown"


@pytest.mark.parametrize("page", COURSE)
def test_a_notebook_is_valid_and_has_the_code_and_figures_of_its_page(page: str):
    made = json.loads(json.dumps(extension("notebooks").notebook(DOCS / f"course/{page}.md")))
    assert (made["nbformat"], made["nbformat_minor"]) == (4, 5)
    for cell in made["cells"]:
        check_cell(cell)
    assert len({cell["id"] for cell in made["cells"]}) == len(made["cells"])
    if importlib.util.find_spec("nbformat"):
        importlib.import_module("nbformat").validate(made)

    code = [cell["source"] + "\n" for cell in made["cells"] if cell["cell_type"] == "code"]
    assert code == re.findall(r"^```python\n(.*?)^```", text(f"course/{page}"), re.MULTILINE | re.DOTALL)
    prose = [cell for cell in made["cells"] if cell["cell_type"] == "markdown"]
    shown = [name for cell in prose for name in re.findall(r"\(attachment:(.*?)\)", cell["source"])]
    assert shown
    assert shown == [name for cell in prose for name in cell.get("attachments", {})]
    assert not any(
        re.search(r"</?details>|\]\((?!attachment:)[^)]*\.(md|png)\)", cell["source"]) for cell in prose
    )


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_has_a_dark_form_of_the_same_size_a_page_and_a_place_in_the_gallery(figure: str):
    # The size stands in the header of a PNG.
    light, dark = ((DOCS / f"figures/{figure}{kind}.png").read_bytes()[16:24] for kind in ("", "-dark"))
    assert light == dark
    reference = f"figures/{figure}.png"
    assert f"({reference})" in text("gallery")
    pages = [path for path in DOCS.rglob("*.md") if path.stem != "gallery" and "_build" not in path.parts]
    assert any(reference in page.read_text(encoding="utf-8") for page in pages)


@pytest.mark.parametrize("peer", PEERS)
def test_a_page_for_newcomers_shows_their_lines_and_ours_and_states_a_version(peer: str):
    page = text(f"coming-from/{peer}")
    ours = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    theirs = re.findall(r"^```python (\w+)\n", page, re.MULTILINE)
    assert len(ours) >= 2
    assert len(theirs) >= 1
    assert any("logpx" in block for block in ours)
    assert re.search(r"tried with\s+\S+\s+\d+\.\d+", page)


def test_the_entry_of_a_page_for_programs_comes_from_the_index():
    entries = dict(extension("llms").ENTRY.findall(text("index")))
    assert entries["drift"] == "whether the joint distribution of a table has moved, and which columns"
