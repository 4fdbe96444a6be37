"""The project's own files: what is shipped, what is pinned, and what the two commands do."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import logpx

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]


def direct_requirements() -> list[str]:
    groups = [PROJECT["project"]["dependencies"], PROJECT["build-system"]["requires"], *EXTRAS.values()]
    return sorted({requirement for group in groups for requirement in group})


def pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile):
    names = set(wheel.namelist())
    sources = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.py")}
    assert sources <= names
    assert "logpx/py.typed" in names
    assert {name.partition("/")[0] for name in names} == {"logpx", f"logpx-{logpx.__version__}.dist-info"}


def test_wheel_states_version_licence_python_and_command(wheel: zipfile.ZipFile):
    info = f"logpx-{logpx.__version__}.dist-info"
    metadata = wheel.read(f"{info}/METADATA").decode()
    assert f"\nVersion: {logpx.__version__}\n" in metadata
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "\nRequires-Python: >=3.11\n" in metadata
    assert "Apache License" in wheel.read(f"{info}/licenses/LICENSE").decode()
    assert "logpx = logpx.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()


def test_version_is_stated_in_one_file():
    places = [ROOT / "pyproject.toml", ROOT / "docs/conf.py", *sorted((ROOT / "src").rglob("*.py"))]
    quoted = re.compile(rf"[\"']{re.escape(logpx.__version__)}[\"']")
    stating = [path for path in places if quoted.search(path.read_text(encoding="utf-8"))]
    assert [path.name for path in stating] == ["_version.py"]
    assert importlib.metadata.version("logpx") == logpx.__version__


def test_citation_and_changelog_repeat_the_version_and_its_date():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    ours = re.search(r"^version: (\S+)\ndate-released: (\S+)$", citation, re.MULTILINE).groups()
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", changelog, re.MULTILINE)
    assert headings[0] == ("Unreleased", "")
    assert headings[1] == ours
    assert ours[0] == logpx.__version__


@pytest.mark.parametrize("line", direct_requirements())
def test_pin_satisfies_the_declared_range(line: str):
    requirement = Requirement(line)
    (specifier,) = pins()[canonicalize_name(requirement.name)].specifier
    assert specifier.operator == "=="
    assert requirement.specifier.contains(specifier.version, prereleases=True)


def test_every_installed_dependency_is_pinned():
    pinned, seen = pins(), set()
    pending = [Requirement(f"logpx[{','.join(EXTRAS)}]")]
    while pending:
        requirement = pending.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            requires = importlib.metadata.requires(requirement.name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # an extra that is not installed: its direct requirements are checked above
        for child in map(Requirement, requires):
            extras = ["", *requirement.extras]
            if child.marker is None or any(child.marker.evaluate({"extra": extra}) for extra in extras):
                pending.append(child)
    names = {name for name, _ in seen} - {"logpx"}
    assert {"torch", "numpy", "pluggy", "sympy"} <= names
    assert sorted(names - pinned.keys()) == []


def test_no_file_names_a_package_registry():
    files = [ROOT / name for name in ("Makefile", "constraints.txt", "pyproject.toml", ".ci/run")]
    for path in files:
        assert not re.search(r"index-url|find-links|https?://", path.read_text(encoding="utf-8")), path


def test_continuous_integration_runs_make_test():
    script = ROOT / ".ci/run"
    commands = [line for line in script.read_text(encoding="utf-8").splitlines() if "make" in line]
    assert commands == ["exec make test"]
    assert script.stat().st_mode & 0o111


def test_help_lists_every_target():
    listed = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert re.findall(r"^  make (\S+)", listed, re.MULTILINE) == phony.split()


def test_unsuitable_interpreter_is_refused_in_one_line(tmp_path: Path):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    (tmp_path / "src/logpx").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "src/logpx/_version.py"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    command = ["make", "setup", f"INTERPRETER={old}"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    message = [line for line in result.stderr.splitlines() if not line.startswith("make")]
    assert result.returncode != 0
    assert len(message) == 1
    assert "logpx needs Python 3.11" in message[0]
    assert not (tmp_path / ".venv").exists()
