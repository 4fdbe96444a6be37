"""The Python examples of the README and of the guides run, and what the documents point at exists."""

import re
from pathlib import Path

import pytest

import logpx

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def examples(page: Path) -> str:
    """Return the page with everything but Python blanked, so that line numbers stay the page's own."""
    text = page.read_text(encoding="utf-8")
    kept, end = [], 0
    for block in FENCE.finditer(text):
        kept += ["\n" * text.count("\n", end, block.start(1)), block.group(1)]
        end = block.end(1)
    return "".join(kept)


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=page_id)
def test_examples_run_in_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(examples(page), page, "exec"), {"__name__": page.stem})


def test_readme_has_a_python_example():
    assert "logpx.fit(" in examples(ROOT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_relative_links_lead_somewhere(page: Path):
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_named_make_targets_exist(page: Path):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = re.findall(r"(?:`|^\$ )make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= set(targets)


def test_every_room_has_a_reference_page():
    pages = {page.stem for page in (ROOT / "docs/api").glob("*.md")}
    functions = {"fit", "load", "save", "__version__", "evidence", "posterior"}
    assert pages == {*logpx.__all__, "index", "logpx", "configuration"} - functions
