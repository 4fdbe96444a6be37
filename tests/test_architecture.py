"""The rooms of docs/design.md: arrows only point downwards, there are no circles, and nothing sprawls."""

import ast
import functools
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/logpx"
# Lines of code: docstrings, comments and blank lines are free.
LONGEST_FILE = 400
LONGEST_FUNCTION = 60
MOST_POSITIONAL = 4

# Rooms on one line of the design do not know each other, but for these.
WITHIN_A_LINE = {("transforms", "nets")}

# The package's front names every room, and the version is a value without a room.
OUTSIDE = {"__init__", "__main__", "_version"}


def levels() -> dict[str, int]:
    """Read the rooms from the design, 0 for the top line."""
    design = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^## Rooms\n.*?^```\n(.*?)^```", design, re.MULTILINE | re.DOTALL)
    rooms = {}
    for level, line in enumerate(block.splitlines()):
        for room in re.findall(r"(\w+)(?:/|\.py)(?=\s)", line):
            rooms[room] = level
    return rooms


LEVELS = levels()


def room_of(module: str) -> str:
    """Return the room of a dotted module name; ``logpx`` itself is the front."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(source: str | ast.Module, package: str) -> Iterator[tuple[int, str]]:
    """Yield line and absolute name of every logpx module that a source text of ``package`` imports."""
    for node in ast.walk(ast.parse(source) if isinstance(source, str) else source):
        if isinstance(node, ast.Import):
            names = [item.name for item in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [base])])
            names = [f"{base}.{item.name}" for item in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.partition(".")[0] == "logpx")


def upward(source: str, room: str, package: str) -> list[str]:
    """List the imports of a source text that do not point downwards from its room."""
    wrong = []
    for line, name in imports(source, package):
        other = room_of(name)
        if other in {room, "_version"} or (room, other) in WITHIN_A_LINE:
            continue
        if other not in LEVELS or LEVELS[other] <= LEVELS[room]:
            wrong.append(f"line {line}: {room} imports {name}")
    return wrong


def source_files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def file_id(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def room_of_file(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def test_design_orders_the_rooms():
    order = ["cli", "api", "storage", "tables", "training", "inference", "flows", "distributions"]
    order += ["transforms", "configuration", "arguments", "errors"]
    ranks = [LEVELS[room] for room in order]
    assert ranks == sorted(set(ranks))
    assert LEVELS["flows"] == LEVELS["latent"]
    assert LEVELS["transforms"] == LEVELS["nets"]
    assert LEVELS["suggestions"] == LEVELS["errors"]


def test_every_source_file_is_in_a_room():
    assert {room_of_file(path) for path in source_files()} - OUTSIDE == set(LEVELS)


def test_arrows_point_downwards():
    wrong = {}
    for path in source_files():
        if room_of_file(path) not in OUTSIDE:
            package = ".".join(["logpx", *path.relative_to(SOURCE).parts[:-1]])
            wrong[file_id(path)] = upward(path.read_text(encoding="utf-8"), room_of_file(path), package)
    assert {name: arrows for name, arrows in wrong.items() if arrows} == {}


def code_lines(source: str) -> set[int]:
    """Return the numbers of the lines that hold code, not only a docstring, a comment or nothing."""
    described = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, described) and ast.get_docstring(node, clean=False) is not None:
            docstrings.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in silent | {tokenize.ENDMARKER}:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines - docstrings


def long_functions(source: str) -> list[str]:
    """List the functions of a source text whose bodies are too long; their arguments are free."""
    # Only what is long with its words can be long without them.
    candidates = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.end_lineno - node.body[0].lineno >= LONGEST_FUNCTION
    ]
    code = code_lines(source) if candidates else set()
    return [
        node.name
        for node in candidates
        if len(code & set(range(node.body[0].lineno, node.end_lineno + 1))) > LONGEST_FUNCTION
    ]


def test_files_and_functions_are_short():
    long = {}
    for path in source_files():
        source = path.read_text(encoding="utf-8")
        long[file_id(path)] = [
            *long_functions(source),
            *["the file"] * (source.count("\n") > LONGEST_FILE and len(code_lines(source)) > LONGEST_FILE),
        ]
    assert {name: parts for name, parts in long.items() if parts} == {}


def test_code_is_counted_without_words():
    source = (
        '"""Say."""\n\n# Why.\ndef f():\n    """Say\n    more."""\n    return [\n        1,  # One.\n    ]\n'
    )
    assert code_lines(source) == {4, 7, 8, 9}
    assert code_lines('x = """a\n\nb"""\n') == {1, 2, 3}


def test_long_function_is_found():
    body = "".join(f"    x = {i}\n" for i in range(LONGEST_FUNCTION))
    assert long_functions(f"def f(\n    a,\n    b,\n):\n    # Why.\n{body}") == []
    assert long_functions(f"def f():\n{body}    return x\n") == ["f"]


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_of(path: Path) -> str:
    parts = ["logpx", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in source_files()}


def module_named(name: str) -> str:
    """Return the module that a dotted name is in or is: ``logpx.nets.MLP`` is in ``logpx.nets``."""
    while name not in MODULES:
        name = name.rpartition(".")[0]
    return name


@functools.cache
def definer_of(name: str) -> str:
    """Return the module that a name comes from, through the lists of names that folders give out."""
    module = module_named(name)
    rest = name.removeprefix(module).lstrip(".").partition(".")[0]
    if not rest or MODULES[module].name != "__init__.py":
        return module
    for node in parsed(MODULES[module]).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("logpx"):
            for item in node.names:
                if rest == (item.asname or item.name):
                    return definer_of(f"{node.module}.{item.name}")
                passed_on = definer_of(f"{node.module}.{rest}") if item.name == "*" else node.module
                if passed_on != node.module:
                    return passed_on
    return module


@functools.cache
def dependences() -> dict[str, set[str]]:
    """Return the files that each file needs, wherever in it they are imported, by the names of modules.

    The lists of names of folders (``__init__``) hold no code of their own and are looked through, but that
    registers and collects is a file like any other.
    """
    found = {}
    for module, path in MODULES.items():
        parts = path.relative_to(SOURCE).parts
        package = ".".join(["logpx", *parts[:-1]])
        names = {name for _, name in imports(parsed(path), package)}
        found[module] = {definer_of(name) for name in names} - {module}
    return {module: needs for module, needs in found.items() if MODULES[module].name != "__init__.py"}


def circles(needs: dict[str, set[str]]) -> list[str]:
    """List the names that need themselves by way of others."""
    reached = {name: set(direct) for name, direct in needs.items()}
    growing = True
    while growing:
        growing = False
        for own in reached.values():
            further = set().union(*(reached.get(name, set()) for name in own)) - own
            own |= further
            growing = growing or bool(further)
    return sorted(name for name, all_of_them in reached.items() if name in all_of_them)


def test_files_do_not_need_each_other_in_a_circle():
    assert circles(dependences()) == []


def test_folders_of_a_room_do_not_need_each_other_in_a_circle():
    by_folder: dict[str, set[str]] = {}
    for module, needs in dependences().items():
        folder = module.rpartition(".")[0]
        inside = {name.rpartition(".")[0] for name in needs if room_of(name) == room_of(module)}
        # A room's own files stand above its folders or below them; between folders there is one direction.
        nested = {other for other in inside if other.count(".") > 1 and other != folder}
        if folder.count(".") > 1:
            by_folder.setdefault(folder, set()).update(nested)
    assert circles(by_folder) == []


def test_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == ["b", "c"]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_names_are_traced_to_the_file_that_defines_them():
    assert definer_of("logpx.transforms.Chain") == "logpx.transforms.chain"
    assert definer_of("logpx.transforms.ShiftFunction") == "logpx.transforms.univariate.affine"
    assert definer_of("logpx.training.FitResult") == "logpx.training.result"
    assert definer_of("logpx.transforms.base.Transform") == "logpx.transforms.base"


def base_names(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases]


def positional_arguments(node: ast.ClassDef) -> int:
    """Return how many arguments the constructor that a class defines takes by position, itself aside."""
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            return len(method.args.posonlyargs) + len(method.args.args) - 1
    inherited = sum(positional_arguments(BY_NAME[base]) for base in base_names(node) if base in BY_NAME)
    decorators = [item for item in node.decorator_list if "dataclass" in ast.dump(item)]
    calls = [item for item in decorators if isinstance(item, ast.Call)]
    plain = bool(decorators) or "NamedTuple" in base_names(node)
    if not plain or any(keyword.arg == "kw_only" for call in calls for keyword in call.keywords):
        return inherited
    fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
    # What follows KW_ONLY is named.
    marks = [place for place, item in enumerate(fields) if ast.unparse(item.annotation) == "KW_ONLY"]
    fields = fields[: marks[0]] if marks else fields
    return inherited + sum("ClassVar" not in ast.dump(item.annotation) for item in fields)


def classes() -> Iterator[tuple[Path, ast.ClassDef]]:
    for path in source_files():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef):
                yield path, node


# Of classes with one name the first will do: none of these is a base.
BY_NAME = {node.name: node for _, node in classes()}


def test_constructors_take_few_arguments_by_position():
    crowded = [
        f"{file_id(path)}: {node.name}"
        for path, node in classes()
        if positional_arguments(node) > MOST_POSITIONAL
    ]
    assert crowded == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("class A:\n    def __init__(self, a, b, c, d, e): ...", 5),
        ("class A:\n    def __init__(self, a, b, *, c, d, e): ...", 2),
        ("@dataclass\nclass A:\n    a: int\n    b: int = 0\n    c: ClassVar[int] = 0", 2),
        ("@dataclass(frozen=True, kw_only=True)\nclass A:\n    a: int", 0),
        ("class A(NamedTuple):\n    a: int\n    b: int", 2),
        # A LowerBound has two of its own.
        ("@dataclass\nclass A(LowerBound):\n    a: int", 3),
        ("@dataclass(kw_only=True)\nclass A(LowerBound):\n    a: int", 2),
        ("class A(LowerBound): ...", 2),
    ],
)
def test_arguments_by_position_are_counted(source: str, expected: int):
    assert positional_arguments(ast.parse(source).body[0]) == expected


# A latent model and its face for scikit-learn have one name, by which each is known where it is used.
SHARED_NAMES = {"GaussianMixture", "ProbabilisticPCA", "FactorAnalysis"}


def test_no_class_name_stands_twice():
    count = Counter(node.name for _, node in classes())
    assert {name for name, times in count.items() if times > 1} <= SHARED_NAMES


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("transforms", "from logpx.flows import MAF"),
        ("flows", "import logpx.tables.schema.schema"),
        ("flows", "from logpx.latent import GaussianMixture"),
        ("nets", "from logpx.transforms import Chain"),
        ("errors", "from logpx.configuration import build"),
        ("training", "from logpx import fit"),
        ("training", "import logpx"),
        ("storage", "def late():\n    from logpx.api import load"),
        ("distributions", "from .. import flows"),
        ("distributions", "from ..flows import MAF"),
    ],
)
def test_upward_arrow_is_found(room: str, source: str):
    assert upward(source, room, f"logpx.{room}")


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("transforms", "from logpx.nets import MLP"),
        ("configuration", "from logpx.errors import UsageError"),
        ("cli", "from logpx.api import fit"),
        ("tables", "from logpx import distributions"),
        ("flows", "from logpx.flows.maf import MAF"),
        ("flows", "from .maf import MAF"),
        ("flows", "from ..transforms import Chain"),
        ("nets", "import numpy"),
    ],
)
def test_downward_arrow_is_allowed(room: str, source: str):
    assert upward(source, room, f"logpx.{room}") == []
