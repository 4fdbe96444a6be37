"""Importing logpx is cheap and lazy, and its public names are all there."""

import subprocess
import sys

import pytest

import logpx


def run(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_import_loads_nothing_but_the_standard_library():
    code = """
        import sys
        before = set(sys.modules)
        import logpx
        roots = {name.partition('.')[0] for name in set(sys.modules) - before}
        print(sorted(roots - sys.stdlib_module_names))
    """
    assert run("\n".join(line.strip() for line in code.splitlines())) == "['logpx']"


def test_a_room_is_imported_by_its_first_use_and_the_compiler_by_those_who_compile():
    code = """
        import sys, logpx
        room = logpx.transforms
        print(room is sys.modules['logpx.transforms'])
        import logpx.cli.fit, logpx.posteriors, logpx.estimators
        print('torch._dynamo' in sys.modules)
    """
    assert run("\n".join(line.strip() for line in code.splitlines())).split() == ["True", "False"]


@pytest.mark.parametrize("name", logpx.__all__)
def test_public_name_resolves_and_is_listed(name: str):
    assert getattr(logpx, name) is getattr(logpx, name)
    assert name in dir(logpx)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'flow'"):
        logpx.flow  # noqa: B018


def test_module_is_the_command():
    installed = run("import subprocess, sys; subprocess.run([sys.executable, '-m', 'logpx', '--help'])")
    assert "Usage" in installed
    for verb in ("fit", "score", "sample", "evaluate", "info"):
        assert verb in installed
