"""Writes ``llms.txt``: what logpx is and where each page's source lies, for readers that are programs."""

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

# Pages that index the others.
LISTS = ("index", "gallery", "changelog", "genindex", "search")


ENTRY = re.compile(r"\]\(([\w/-]+)\.md\): ([^;.\n]+)")


def descriptions(app: Sphinx) -> dict[str, str]:
    """Return what the pages that list others say of them."""
    found = {}
    for page in filter(app.env.found_docs.__contains__, ("index", "course/index")):
        folder = page.rpartition("index")[0]
        for name, words in ENTRY.findall(Path(app.env.doc2path(page)).read_text(encoding="utf-8")):
            found[folder + name] = f"{words.strip()}."
    return found


def summary(document: nodes.document) -> str:
    """Return the first sentence below the title, on one line."""
    for paragraph in document.findall(nodes.paragraph):
        if isinstance(paragraph.parent, nodes.section) and "download" not in paragraph["classes"]:
            text = " ".join(paragraph.astext().split())
            return re.split(r"(?<=[.?]) |:$", text)[0]
    return ""


def section_of(page: str) -> str:
    sections = {"course": "Course", "coming-from": "Coming from other libraries", "api": "Reference"}
    return sections.get(page.partition("/")[0], "Guides")


def write(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.name != "html":
        return
    opening = [paragraph.astext() for paragraph in app.env.get_doctree("index").findall(nodes.paragraph)]
    known = descriptions(app)
    sections: dict[str, list[str]] = {}
    order = [*app.env.toctree_includes.get("course/index", []), *sorted(app.env.found_docs)]
    for page in dict.fromkeys(order):
        if page.rpartition("/")[2] in LISTS:
            continue
        title = app.env.titles[page].astext()
        words = known.get(page) or summary(app.env.get_doctree(page))
        # The source of a page of the reference names the modules that the page is made from, and no more.
        address = f"{page}.html" if page.startswith("api/") else f"_sources/{page}.md.txt"
        line = f"- [{title}]({address}): {words}"
        sections.setdefault(section_of(page), []).append(line)
    lines = [f"# {app.config.project}", "", "> " + " ".join(opening[0].split()), ""]
    for name in ("Guides", "Course", "Coming from other libraries", "Reference"):
        lines += [f"## {name}", "", *sections.get(name, []), ""]
    (Path(app.outdir) / "llms.txt").write_text("\n".join(lines), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
