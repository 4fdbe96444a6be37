"""Builds the documentation of every released version and of this tree side by side: ``make docs-versions``.

Each tag ``v*`` goes to ``docs/_build/versions/<version>/``, and so does this tree: under its version, or as
``development`` where that is released. ``versions.json`` beside them lists them for the switch on each page,
and ``index.html`` leads to the newest release.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path

from packaging.version import InvalidVersion, Version

DEVELOPMENT = "development"
EXTENSION = Path(__file__).parent / "extensions/versions"
# For releases from before the switch.
ADDED = """
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))
extensions.append("versions")
"""


@dataclass(frozen=True, kw_only=True)
class Edition:
    """One version of the documentation.

    Attributes
    ----------
    name : str
        Its name, and that of its folder.
    tag : str or None
        The tag that it is built from; None for the tree as it is.
    released : bool
        Whether it counts as a release.
    """

    name: str
    tag: str | None
    released: bool


def git(repository: Path, *words: str) -> bytes | None:
    """Return what git prints; None where there is no git, or no repository."""
    try:
        ended = subprocess.run(["git", "-C", str(repository), *words], capture_output=True)
    except OSError:
        return None
    return ended.stdout if ended.returncode == 0 else None


def tags_of(repository: Path) -> list[str]:
    """Return the tags of releases, the newest version first."""
    found: list[tuple[Version, str]] = []
    for tag in (git(repository, "tag", "--list", "v*") or b"").decode().split():
        try:
            found.append((Version(tag[1:]), tag))
        except InvalidVersion:
            continue
    return [tag for _, tag in sorted(found, reverse=True)]


def editions(tags: list[str], version: str) -> list[Edition]:
    """Return what is to be built, this tree first and then releases, the newest first.

    Parameters
    ----------
    tags
        The tags of releases, the newest first.
    version
        The version of this tree, which is a release itself if there is no tag.

    Examples
    --------
    >>> [one.name for one in editions(["v1.1", "v1.0"], "1.1")]
    ['development', '1.1', '1.0']
    """
    own = Edition(name=DEVELOPMENT if f"v{version}" in tags else version, tag=None, released=not tags)
    return [own, *(Edition(name=tag[1:], tag=tag, released=True) for tag in tags)]


def newest_of(found: list[Edition]) -> Edition:
    """Return the newest release, which is a preliminary one only if there are no others."""
    released = [one for one in found if one.released]
    final = [one for one in released if not Version(one.name).is_prerelease]
    return (final or released)[0]


def sources_of(repository: Path, edition: Edition, into: Path) -> Path:
    """Return the folder of an edition's sources; those of a tag are unpacked and given this switch.

    Raises
    ------
    SystemExit
        If git cannot unpack the tag.
    """
    if edition.tag is None:
        return repository
    content = git(repository, "archive", "--format=tar", edition.tag)
    if content is None:
        raise SystemExit(f"{edition.tag}: git cannot unpack it; try git archive {edition.tag}")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(into, filter="data")
    conf = into / "docs/conf.py"
    shutil.copytree(EXTENSION, into / "docs/extensions/versions", dirs_exist_ok=True)
    text = conf.read_text(encoding="utf-8")
    if not re.search(r"[\"']versions[\"']", text):
        conf.write_text(text + ADDED, encoding="utf-8")
    return into


def build(sources: Path, edition: Edition, newest: str, output: Path) -> None:
    """Build one edition; this tree without a warning.

    Raises
    ------
    SystemExit
        If Sphinx fails.
    """
    command = [sys.executable, "-m", "sphinx", "-q", "-E", "-b", "html"]
    command += ["-W", "--keep-going", "-n"] if edition.tag is None else []
    command += ["-D", f"versions_name={edition.name}", "-D", f"versions_newest={newest}"]
    # The package is imported from the sources that are documented.
    environment = os.environ | {"PYTHONPATH": str(sources / "src")}
    ended = subprocess.run([*command, str(sources / "docs"), str(output)], env=environment)
    if ended.returncode:
        raise SystemExit(f"{edition.name}: Sphinx failed, see above")


def pages_of(folder: Path) -> list[str]:
    """Return the pages of a built edition, by their names without an ending."""
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.html"))


def listed(found: list[Edition], newest: Edition, folder: Path) -> dict[str, object]:
    """Return what ``versions.json`` holds: the versions as the switch shows them."""

    def note(one: Edition) -> str:
        return "newest release" if one == newest else "" if one.released else "not released"

    versions = [{"name": one.name, "note": note(one), "pages": pages_of(folder / one.name)} for one in found]
    return {"newest": newest.name, "versions": versions}


def redirect(newest: str) -> str:
    """Return a page that leads to the newest release."""
    address = escape(f"{newest}/index.html", quote=True)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>logpx</title>\n'
        '<link rel="icon" href="data:,">\n'
        f'<meta http-equiv="refresh" content="0; url={address}">\n<link rel="canonical" href="{address}">\n'
        f'</head>\n<body>\n<main>\n<h1>logpx</h1>\n<p><a href="{address}">Version {escape(newest)}</a></p>\n'
        "</main>\n</body>\n</html>\n"
    )


def version_of(repository: Path) -> str:
    """Return the version that a tree states."""
    text = (repository / "src/logpx/_version.py").read_text(encoding="utf-8")
    stated = re.search(r'__version__ = "([^"]+)"', text)
    assert stated is not None
    return stated[1]


def build_all(repository: Path, output: Path) -> list[Edition]:
    """Build every edition of a repository into a folder, which is made anew."""
    found = editions(tags_of(repository), version_of(repository))
    newest = newest_of(found)
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    # The newest first: pages of others lead to its pages.
    for edition in sorted(found, key=lambda one: one != newest):
        print(f"{edition.name}: {edition.tag or 'this tree'}", flush=True)
        with tempfile.TemporaryDirectory() as place:
            sources = sources_of(repository, edition, Path(place))
            build(sources, edition, newest.name, output / edition.name)
    content = json.dumps(listed(found, newest, output), indent=1)
    (output / "versions.json").write_text(content + "\n", encoding="utf-8")
    (output / "index.html").write_text(redirect(newest.name), encoding="utf-8")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="docs/_build/versions by default")
    root = Path(__file__).resolve().parents[1]
    given = parser.parse_args().output
    built = build_all(root, given or root / "docs/_build/versions")
    print(f"{(given or Path('docs/_build/versions')) / 'index.html'}: {', '.join(one.name for one in built)}")
