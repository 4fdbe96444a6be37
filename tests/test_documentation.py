"""The Python examples of the README and of the guides run, and what the documents point at exists."""

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import logpx

ROOT = Path(__file__).parents[1]
GUIDES = sorted((ROOT / "docs").glob("*.md"))
COURSE = sorted((ROOT / "docs/course").glob("*.md"))
COMING_FROM = sorted((ROOT / "docs/coming-from").glob("*.md"))
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "AGENTS.md")),
    *GUIDES,
    *COURSE,
    *COMING_FROM,
]
# A second word names a library without which a block cannot run. Blocks of peers are run by tests/peers.
FENCE = re.compile(r"^```python(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PEERS = {"nflows", "pyod", "sbi", "sdv", "zuko"}
SECONDS = re.compile(r"(?<=\bmax_time=)\d+")
# Pages that take seconds and whose calls the doctests of their classes make too.
LONG = {
    "cheat-sheet",
    "conditions",
    "evidence",
    "images",
    "likelihood",
    "linear-flows",
    "many-rows",
    "missing-cells",
    "mixtures",
    "posteriors",
    "tables",
}
LONG |= {"objectives", "splines", "vae"}
LONG |= {page.stem for page in (*COURSE, *COMING_FROM)}


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def examples(page: Path) -> str:
    """Return the page with all but the Python that can run blanked, so that line numbers stay its own."""
    text = page.read_text(encoding="utf-8")
    kept, end = [], 0
    for block in FENCE.finditer(text):
        if block[1] is None or (block[1] not in PEERS and importlib.util.find_spec(block[1])):
            kept += ["\n" * text.count("\n", end, block.start(2)), block[2]]
            end = block.end(2)
    return "".join(kept)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page.stem in LONG else [], id=page_id(page))
        for page in PAGES
        if examples(page)
    ],
)
def test_examples_run_in_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    # How long a search may take changes what it finds, not whether the example runs.
    quick = SECONDS.sub("1", examples(page))
    exec(compile(quick, page, "exec"), {"__name__": page.stem})


def test_readme_has_a_python_example():
    assert "logpx.fit(" in examples(ROOT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_relative_links_lead_somewhere(page: Path):
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_into_pages_lead_to_headings(page: Path):
    links = re.findall(r"\]\(((?:[^)#\s:]+\.md)?)#([\w-]+)\)", page.read_text(encoding="utf-8"))
    assert [
        link for link in links if link[1] not in anchors(page.parent / link[0] if link[0] else page)
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_named_make_targets_exist(page: Path):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = re.findall(r"(?:`|^\$ )make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= set(targets)


def test_every_room_has_a_reference_page():
    pages = {page.stem for page in (ROOT / "docs/api").glob("*.md")}
    functions = {"fit", "load", "save", "__version__", "evidence", "evidence_from_draws", "posterior"}
    functions |= {"score_batches", "score_schema", "impute_batches", "impute_schema", "compare", "drift"}
    functions |= {"anomalies"}
    assert pages == {*logpx.__all__, "index", "logpx", "configuration"} - functions


OUTSIDE = re.compile(r"^(?:https?:)?//")
RAW_TEX = re.compile(r"\$\$|\\[(\[]|\\[A-Za-z]+")
FORMULAS = r"""
# Formulas

Inline $\sigma^2 = \frac{1}{2} \log |\det W|$ and $\vec p_{i<1}$, displayed

$$
p(x) = \sum_k \pi_k \, p_k(x)
$$ (density)

as {eq}`density` says, and by lines

\begin{align}
a &= b + c \\
  &= d
\end{align}

```{eval-rst}
Text :math:`\xi \in [0, 1)^D`, and displayed

.. math:: \log p(x) \ge E_q \left[ \log \frac{p(x, z)}{q(z)} \right]

.. math::

   e = f

   \begin{split}
   g &= h \\ &= i
   \end{split}
```
"""


class Page(HTMLParser):
    """What a browser would show of a page as running text, and what it would fetch."""

    def __init__(self, path: Path):
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]):
        values = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if tag in {"pre", "code", "script", "style", "annotation"}:
            self.open.append(tag)
        names = {"src", "srcset", "data", "poster"}
        if tag == "link" and values.get("rel") not in {"index", "search", "next", "prev", "canonical"}:
            names.add("href")
        self.fetched += [values[name] for name in names if name in values]

    def handle_endtag(self, tag: str):
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data: str):
        if "style" in self.open:
            self.fetched += styled(data)
        elif not self.open:
            self.text += data


def styled(css: str) -> list[str]:
    """Return the addresses that a style sheet fetches."""
    return re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')\s;]+)", css)


def build(source: Path, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    for needed in ("furo", "myst_parser", "sphinx"):
        pytest.importorskip(needed)
    command = [sys.executable, *["-m", "sphinx", "-q", "-E", "-b", "html", "-c"]]
    command += [str(ROOT / "docs"), *options, str(source), str(output)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def check_offline_and_set(folder: Path, with_formulas: set[str]):
    """Hold that no page shows TeX, that some show formulas, and that all is fetched from the folder."""
    pages = {path.relative_to(folder).as_posix(): Page(path) for path in folder.rglob("*.html")}
    raw = {name: RAW_TEX.findall(page.text) for name, page in pages.items()}
    assert {name: found for name, found in raw.items() if found} == {}
    assert with_formulas <= {name for name, page in pages.items() if "math" in page.tags}
    fetched = [address for page in pages.values() for address in page.fetched]
    assert any("mathml.css" in address for address in fetched)
    for sheet in folder.rglob("*.css"):
        fetched += styled(sheet.read_text(encoding="utf-8"))
    assert [address for address in fetched if OUTSIDE.match(address)] == []


def guides_with_formulas() -> set[str]:
    return {f"{page.stem}.html" for page in GUIDES if "$$" in page.read_text(encoding="utf-8")}


def check_formulas(page: str):
    """Hold that the page of FORMULAS shows them all, set and numbered."""
    formulas = re.findall(r"<math.*?</math>", page, re.DOTALL)
    assert [re.sub(r"<[^>]*>|\s|&ApplyFunction;", "", formula) for formula in formulas] == [
        "σ2=12log|detW|",
        "p→i&lt;1",
        "p(x)=∑kπkpk(x)",
        "a=b+c=d",
        "ξ∈[0,1)D",
        "logp(x)≥Eq[logp(x,z)q(z)]",
        "e=fg=h=i",
    ]
    assert [formula.count("<mtr>") for formula in formulas] == [0, 0, 0, 2, 0, 0, 4]
    # The index stands beside the letter under its accent, and the sign in it without space.
    assert formulas[1].index("<msub>") < formulas[1].index("<mover>") < formulas[1].index("&lt;")
    assert '<mo lspace="0" rspace="0">&lt;</mo>' in formulas[1]
    assert page.count('class="eqno"') == 2


# What the theme makes and links to by the keyboard, or not at all.
UNLINKED = {"genindex.html", "py-modindex.html", "search.html"}


def clicks(folder: Path) -> dict[str, int]:
    """Return how many links in the text of built pages lead from the front page to each other page."""
    found, border = {"index.html": 0}, ["index.html"]
    while border:
        page = border.pop(0)
        text = (folder / page).read_text(encoding="utf-8")
        for address in re.findall(r'<a [^>]*href="([^":#]+\.html)', text[text.index("<article") :]):
            target = ((folder / page).parent / address).resolve().relative_to(folder.resolve()).as_posix()
            if target not in found:
                found[target] = found[page] + 1
                border.append(target)
    return found


def test_a_formula_that_cannot_be_rendered_fails_the_build(tmp_path: Path):
    (tmp_path / "index.md").write_text("# Page\n\nText\n\n$$\n\\nosuchcommand{x}\n$$\n", encoding="utf-8")
    result = build(tmp_path, tmp_path / "html", "-W")
    assert result.returncode != 0
    assert re.search(r"index\.md:5: WARNING: cannot render .*nosuchcommand", result.stderr)


def test_guides_show_their_formulas_and_fetch_nothing(tmp_path: Path):
    for page in GUIDES:
        (tmp_path / page.name).write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "formulas.md").write_text("---\norphan: true\n---\n" + FORMULAS, encoding="utf-8")
    result = build(tmp_path, tmp_path / "html", "-n")
    assert result.returncode == 0, result.stderr
    assert "cannot render" not in result.stderr
    # What warns elsewhere is that the reference is not there.
    assert "formulas.md" not in result.stderr
    check_offline_and_set(tmp_path / "html", guides_with_formulas() | {"formulas.html"})
    check_formulas((tmp_path / "html/formulas.html").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_documentation_builds_without_a_warning_and_fetches_nothing(tmp_path: Path):
    result = build(ROOT / "docs", tmp_path, "-W", "-n", "--keep-going")
    assert result.returncode == 0, result.stderr
    course = {f"course/{page.stem}.html" for page in COURSE if page.stem != "index"}
    check_offline_and_set(
        tmp_path, guides_with_formulas() | course | {"api/transforms.html", "api/inference.html"}
    )
    for page in course:
        shown = (tmp_path / page).read_text(encoding="utf-8")
        assert f'href="{Path(page).stem}.ipynb"' in shown
        assert (tmp_path / page).with_suffix(".ipynb").is_file()
        assert "only-dark" in shown
    listed = re.findall(r"^- \[.*?\]\((.*?)\): \S", (tmp_path / "llms.txt").read_text("utf-8"), re.MULTILINE)
    assert len(listed) > 40
    assert [address for address in listed if not (tmp_path / address).is_file()] == []
    away = clicks(tmp_path)
    for task in ("tables", "anomalies", "missing-cells", "conditions", "comparing", "posteriors", "flows"):
        assert away[f"{task}.html"] == 1
    assert {page: number for page, number in away.items() if number > 2} == {}
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.html")} - set(
        away
    ) <= UNLINKED


@pytest.mark.slow
def test_pages_are_reached_by_keys_and_nothing_grave_is_wrong_to_axe(
    opened_page, walked, violations, tmp_path: Path
):
    (tmp_path / "index.md").write_text(
        "# Start\n\nText.\n\n```{toctree}\n:caption: Others\n\nother\n```\n", encoding="utf-8"
    )
    wide, cells = "a = 1  # " + "wide " * 60, " | ".join(["cell that is wide"] * 30)
    table = f"| {cells} |\n|{'---|' * 30}\n| {cells} |\n"
    (tmp_path / "other.md").write_text(f"# Other\n\n```python\n{wide}\n```\n\n{table}", encoding="utf-8")
    assert build(tmp_path, tmp_path / "html").returncode == 0
    for name in ("index", "other"):
        page = opened_page((tmp_path / f"html/{name}.html").as_uri(), 1300, 900)
        page.emulate_media(reduced_motion="reduce")
        page.wait_for_timeout(300)
        walked(page)
        # Axe reads style sheets, which a page from a disk may not.
        assert page.said == []
        assert [one for one in violations(page) if re.search("serious|critical", one)] == []
        assert page.locator(".versions").inner_text() == f"Version {logpx.__version__}"
    assert page.locator("article pre[tabindex='0'], article .table-wrapper[tabindex='0']").count() == 2
