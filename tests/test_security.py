"""Nothing in the source executes what it reads: no pickle, no evaluation, no import by a name from a file."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src/logpx"

# Modules that execute code on load.
MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml"}
MODULES |= {"code", "codeop", "runpy", "torch.hub", "torch.package", "torch.utils.model_zoo"}
MODULES |= {"numpy.ctypeslib", "ctypes"}

# Modules that reach out of the machine, or let others in: for the one file that fetches data sets, with their
# checksums, and the one that serves a page to this computer, on the loopback interface.
NETWORK = {"socket", "urllib", "http", "requests", "ftplib", "smtplib"}
NETWORKED = {SOURCE / "images/reading/download.py", SOURCE / "explore/server.py"}

# Functions that execute, or read by pickle, what they are given.
CALLS = {"eval", "exec", "compile", "__import__", "torch.load", "torch.save", "torch.jit.load"}
CALLS |= {"numpy.load", "numpy.save", "numpy.savez", "pandas.read_pickle", "os.system", "os.popen"}
CALLS |= {"builtins.eval", "builtins.exec", "torch.compiler.load_cache_artifacts"}

# Importing by a computed name is left to the package's own front, whose names are a closed list.
BY_COMPUTED_NAME = {"importlib.import_module", "importlib.util.spec_from_file_location"}
FRONT = SOURCE / "__init__.py"


def aliases(tree: ast.AST) -> dict[str, str]:
    """Map each imported local name to what it stands for."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                root = item.name.partition(".")[0]
                names[item.asname or root] = item.name if item.asname else root
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for item in node.names:
                names[item.asname or item.name] = f"{node.module}.{item.name}"
    return names


def dotted(node: ast.AST, names: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value, names)
        return None if owner is None else f"{owner}.{node.attr}"
    return None


def inside(name: str, modules: set[str]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[: end + 1]) in modules for end in range(len(parts)))


def without_pickle(tree: ast.AST, names: dict[str, str]) -> set[ast.AST]:
    """Return the mentions of numpy.load that are calls with a literal allow_pickle=False."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {
        call.func
        for call in calls
        if dotted(call.func, names) == "numpy.load"
        for keyword in call.keywords
        if keyword.arg == "allow_pickle"
        and isinstance(keyword.value, ast.Constant)
        and keyword.value.value is False
    }


def findings(source: str, path: Path | None = None) -> Iterator[tuple[int, str]]:
    """Yield line and name of everything in a source text that must not be there."""
    tree = ast.parse(source)
    names = aliases(tree)
    harmless = without_pickle(tree, names) | own_arguments(tree)
    modules = MODULES if path in NETWORKED else MODULES | NETWORK
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, item.name) for item in node.names if inside(item.name, modules))
        elif isinstance(node, ast.ImportFrom):
            imported = [f"{node.module}.{item.name}" for item in node.names]
            yield from ((node.lineno, name) for name in imported if inside(name, modules | CALLS))
        elif isinstance(node, (ast.Name, ast.Attribute)) and node not in harmless:
            name = dotted(node, names)
            if name in CALLS or (isinstance(node, ast.Attribute) and name and inside(name, modules)):
                yield node.lineno, name
        elif isinstance(node, ast.Call):
            literal = bool(node.args) and isinstance(node.args[0], ast.Constant)
            if dotted(node.func, names) in BY_COMPUTED_NAME and not literal and path != FRONT:
                yield node.lineno, "import by a computed name"
            for keyword in node.keywords:
                value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
                if keyword.arg in ("shell", "allow_pickle") and value is not False:
                    yield node.lineno, f"{keyword.arg}="


def own_arguments(tree: ast.Module) -> set[ast.Name]:
    """Return the names of fields, and of arguments in their functions: they are not the built-in function."""
    inside_functions = {
        node
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for argument in (*function.args.args, *function.args.kwonlyargs)
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and node.id == argument.arg
    }
    fields = {node.target for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)}
    return inside_functions | {field for field in fields if isinstance(field, ast.Name)}


def test_source_executes_nothing_it_reads():
    paths = sorted(SOURCE.rglob("*.py"))
    found = {str(path): list(findings(path.read_text(encoding="utf-8"), path)) for path in paths}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import urllib.request",
        "from pickle import loads",
        "import torch\ntorch.load('x')",
        "import torch as t\nt.load('x')",
        "from torch import load as read\nread('x')",
        "import torch\ntorch.hub.load('x')",
        "import numpy as np\nnp.load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=flag)",
        "import numpy as np\nread = np.load\nread('x', allow_pickle=False)",
        "from sklearn.externals import joblib\nimport joblib",
        "eval('1')",
        "run = exec",
        "__import__(name)",
        "import importlib\nimportlib.import_module(name)",
        "from importlib import import_module\nimport_module(f'logpx.{name}')",
        "read(path, allow_pickle=True)",
        "import subprocess\nsubprocess.run(line, shell=flag)",
    ],
)
def test_each_way_to_execute_is_found(source: str):
    assert list(findings(source))


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "def fit(compile):\n    return compile",
        "import torch\ntorch.compile(model)",
        "import re\nre.compile('x')",
        "import importlib\nimportlib.import_module('matplotlib.pyplot')",
        "from safetensors.torch import load_file\nload_file('x')",
        "read(path, allow_pickle=False)",
        "import numpy as np\nnp.load('x', allow_pickle=False)",
    ],
)
def test_harmless_namesakes_are_not_found(source: str):
    assert list(findings(source)) == []
