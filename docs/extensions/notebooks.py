"""Writes every page of the course as a Jupyter notebook beside its HTML, and links to it below the title."""

import base64
import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

FENCE = re.compile(r"^```python\n(.*?)^```$\n?", re.MULTILINE | re.DOTALL)
FIGURE = re.compile(r"(!\[[^\]]*\]\()([^)\s]+\.png)\)")
# What is folded on the page stands open in a notebook, whose cells a fold cannot span.
FOLD = re.compile(r"^<details>\n<summary>(.*?)</summary>\n|^</details>$\n?", re.MULTILINE)
# Notebooks know "$$" alone, without the label that a page may give to a formula.
LABEL = re.compile(r"^\$\$ \([\w-]+\)$", re.MULTILINE)
PAGE_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)[^)]*\)")


def in_course(page: str) -> bool:
    return page.startswith("course/") and page != "course/index"


def prose(text: str, folder: Path) -> dict[str, Any]:
    """Return a cell of text, with its figures inside it and links to other pages as plain words."""
    text = FOLD.sub(lambda found: f"**{found[1]}**\n" if found[1] else "", LABEL.sub("$$", text))
    text = PAGE_LINK.sub(r"\1", text)
    attachments = {}

    def attach(found: re.Match[str]) -> str:
        path = folder / found[2]
        attachments[path.name] = {"image/png": base64.b64encode(path.read_bytes()).decode("ascii")}
        return f"{found[1]}attachment:{path.name})"

    cell = {"cell_type": "markdown", "metadata": {}, "source": FIGURE.sub(attach, text.strip())}
    return cell | ({"attachments": attachments} if attachments else {})


def code(text: str) -> dict[str, Any]:
    empty = {"execution_count": None, "metadata": {}, "outputs": []}
    return {"cell_type": "code", "source": text.rstrip("\n"), **empty}


def notebook(page: Path) -> dict[str, Any]:
    """Return a page as a notebook of format 4.5."""
    # The text between two blocks of code has even places.
    parts = FENCE.split(page.read_text(encoding="utf-8"))
    cells = [code(part) if place % 2 else prose(part, page.parent) for place, part in enumerate(parts)]
    cells = [cell for cell in cells if cell["source"]]
    for number, cell in enumerate(cells):
        cell["id"] = f"{page.stem}-{number}"[-64:]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def link(app: Sphinx, document: nodes.document) -> None:
    """Put a link to the notebook below the title of a page of the course."""
    page = app.env.docname
    if not in_course(page) or app.builder.format != "html":
        return
    to = nodes.reference("", "Download as a notebook", refuri=f"{Path(page).name}.ipynb", internal=False)
    paragraph = nodes.paragraph("", "", to, classes=["download"])
    next(document.findall(nodes.section)).insert(1, paragraph)


def write(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    for page in filter(in_course, app.env.found_docs):
        path = Path(app.outdir) / f"{page}.ipynb"
        text = json.dumps(notebook(Path(app.env.doc2path(page))), indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", link)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
