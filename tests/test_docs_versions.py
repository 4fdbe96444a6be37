"""Documentation of several versions side by side: what is built, what pages say, and how to change."""

import functools
import http.server
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONF = """
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))
project, release, html_theme = "logpx", "{version}", "furo"
html_title = "logpx " + release
extensions = ["myst_parser"{ours}]
exclude_patterns = ["extensions"]
"""


@pytest.fixture(scope="module")
def script():
    place = importlib.util.spec_from_file_location("build_versions", ROOT / "docs/build_versions.py")
    module = importlib.util.module_from_spec(place)
    # Dataclasses look their module up.
    sys.modules["build_versions"] = module
    place.loader.exec_module(module)
    yield module
    del sys.modules["build_versions"]


def git(repository: Path, *words: str) -> None:
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(repository), *author, *words], check=True, capture_output=True)


def write(repository: Path, version: str, pages: dict[str, str], *, switch: bool = True) -> None:
    """Write a tiny project with documentation, which has the switch or is from before it."""
    docs = repository / "docs"
    shutil.rmtree(docs, ignore_errors=True)
    (docs / "sub").mkdir(parents=True)
    (docs / "conf.py").write_text(CONF.format(version=version, ours=", 'versions'" if switch else ""))
    if switch:
        shutil.copytree(ROOT / "docs/extensions/versions", docs / "extensions/versions")
    listed = "\n".join(name for name in pages)
    (docs / "index.md").write_text(f"# Index of {version}\n\nText.\n\n```{{toctree}}\n{listed}\n```\n")
    for name, text in pages.items():
        (docs / f"{name}.md").write_text(f"# {text}\n\nText.\n")
    (repository / "src/logpx").mkdir(parents=True, exist_ok=True)
    (repository / "src/logpx/_version.py").write_text(f'__version__ = "{version}"\n')


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of two releases, the first from before the switch, and a tree after them."""
    if shutil.which("git") is None:
        pytest.skip("VERSIONS OF THE DOCUMENTATION WERE NOT TESTED: git is not installed")
    place = tmp_path_factory.mktemp("repository")
    git(place, "init", "--quiet")
    write(place, "1.9.0", {"old": "Only old", "sub/both": "Both"}, switch=False)
    git(place, "add", ".")
    git(place, "commit", "--quiet", "-m", "first")
    git(place, "tag", "v1.9.0")
    write(place, "1.10.0", {"sub/both": "Both", "new": "Only new"})
    git(place, "add", ".")
    git(place, "commit", "--quiet", "-m", "second")
    git(place, "tag", "v1.10.0")
    git(place, "tag", "vanilla")
    (place / "docs/new.md").write_text("# Newer than new\n\nText.\n")
    return place


def test_releases_come_in_the_order_of_versions_and_other_tags_are_none(script, repository: Path):
    assert script.tags_of(repository) == ["v1.10.0", "v1.9.0"]


def test_without_a_repository_this_tree_is_the_newest_release(script, tmp_path: Path):
    assert script.tags_of(tmp_path) == []
    (only,) = script.editions([], "0.2.0")
    assert (only.name, only.tag, only.released) == ("0.2.0", None, True)
    assert script.newest_of([only]) == only


@pytest.mark.parametrize(
    ("tags", "version", "names", "newest"),
    [
        (["v0.2.0"], "0.2.0", ["development", "0.2.0"], "0.2.0"),
        (["v0.2.0"], "0.3.0", ["0.3.0", "0.2.0"], "0.2.0"),
        (["v1.0rc1", "v0.2.0"], "1.0", ["1.0", "1.0rc1", "0.2.0"], "0.2.0"),
        (["v1.0rc1"], "1.0", ["1.0", "1.0rc1"], "1.0rc1"),
    ],
)
def test_a_tree_after_releases_is_none_itself(script, tags, version, names, newest):
    found = script.editions(tags, version)
    assert [one.name for one in found] == names
    assert [one.released for one in found] == [False] + [True] * len(tags)
    assert script.newest_of(found).name == newest


def test_a_release_from_before_the_switch_is_given_it(script, repository: Path, tmp_path: Path):
    new, old = (script.Edition(name=name, tag=f"v{name}", released=True) for name in ("1.10.0", "1.9.0"))
    for edition in (new, old):
        sources = script.sources_of(repository, edition, tmp_path / edition.name)
        assert (sources / "docs/extensions/versions/static/versions.js").is_file()
        found = {}
        exec(
            (sources / "docs/conf.py").read_text(), found | {"__file__": str(sources / "docs/conf.py")}, found
        )
        assert found["extensions"].count("versions") == 1
    assert "Only old" in (tmp_path / "1.9.0/docs/old.md").read_text()
    with pytest.raises(SystemExit, match="git archive v7"):
        script.sources_of(repository, script.Edition(name="7", tag="v7", released=True), tmp_path / "7")


def test_the_list_names_pages_and_the_redirect_leads_to_the_newest(script, tmp_path: Path):
    found = script.editions(["v1.0"], "1.0")
    for name in ("development/a/b", "1.0/c"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / f"{name}.html").touch()
    listed = script.listed(found, script.newest_of(found), tmp_path)
    assert listed == {
        "newest": "1.0",
        "versions": [
            {"name": "development", "note": "not released", "pages": ["a/b"]},
            {"name": "1.0", "note": "newest release", "pages": ["c"]},
        ],
    }
    assert 'content="0; url=1.0/index.html"' in script.redirect("1.0")


def test_make_and_the_pages_name_the_command():
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^docs-versions: .*## ", makefile, re.MULTILINE)
    for page in ("CONTRIBUTING.md", "docs/getting-started.md"):
        assert "make docs-versions" in (ROOT / page).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def site(script, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    for needed in ("furo", "myst_parser", "sphinx"):
        pytest.importorskip(needed)
    output = tmp_path_factory.mktemp("site") / "versions"
    assert [one.name for one in script.build_all(repository, output)] == ["development", "1.10.0", "1.9.0"]
    return output


@pytest.mark.slow
def test_every_version_is_built_from_its_own_sources_and_says_which_is_newest(site: Path):
    assert "Index of 1.9.0" in (site / "1.9.0/index.html").read_text()
    assert "Only new" in (site / "1.10.0/new.html").read_text()
    assert "Newer than new" in (site / "development/new.html").read_text()
    assert "<title>logpx development</title>" in (site / "development/index.html").read_text()
    versions = json.loads((site / "versions.json").read_text())
    assert versions["newest"] == "1.10.0"
    assert [one["note"] for one in versions["versions"]] == ["not released", "newest release", ""]
    assert all({"index", "sub/both", "search"} <= set(one["pages"]) for one in versions["versions"])
    both, old = ((site / f"1.9.0/{name}.html").read_text() for name in ("sub/both", "old"))
    assert '<link rel="canonical" href="../../1.10.0/sub/both.html">' in both
    assert "This page is of version 1.9.0." in both
    assert '<link rel="canonical" href="../1.10.0/index.html">' in old
    newest = (site / "1.10.0/sub/both.html").read_text()
    assert "This page is of version" not in newest
    assert 'rel="canonical"' not in newest


@pytest.fixture
def served(site: Path):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.slow
@pytest.mark.enable_socket
def test_the_switch_leads_by_keys_to_the_same_page_or_to_the_first(opened_page, served: str):
    page = opened_page(f"{served}/index.html", 1200, 900)
    page.wait_for_url("**/1.10.0/index.html")
    page.goto(f"{served}/1.10.0/sub/both.html")
    page.locator(".versions summary").focus()
    page.keyboard.press("Enter")
    assert page.locator(".versions a").all_inner_texts() == [
        "development (not released)",
        "1.10.0 (newest release)",
        "1.9.0",
    ]
    assert page.locator(".versions [aria-current]").inner_text() == "1.10.0 (newest release)"
    page.keyboard.press("Escape")
    assert not page.locator(".versions details").evaluate("one => one.open")
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/1.9.0/sub/both.html")
    page.locator(".other-version a").click()
    page.wait_for_url("**/1.10.0/sub/both.html")
    page.goto(f"{served}/1.9.0/old.html")
    page.locator(".versions summary").click()
    page.locator(".versions a").first.click()
    page.wait_for_url("**/development/index.html")
    assert page.said == []
    assert all(url.startswith((served, "data:")) for url in page.asked)


@pytest.mark.slow
def test_from_a_disk_the_name_of_the_version_is_all(opened_page, site: Path):
    page = opened_page((site / "1.10.0/index.html").as_uri(), 1200, 900)
    page.wait_for_timeout(200)
    assert page.locator(".versions").inner_text() == "Version 1.10.0"
    assert page.locator(".versions a").count() == 0
    assert page.said == []
