"""Configured objects: what they remember, their JSON, and what is refused."""

import copy
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from logpx.configuration import Configured, build, class_name, describe
from logpx.errors import ModelFolderError, UsageError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda key: key != "class"), inner),
    max_leaves=10,
)


class Leaf(Configured):
    def __init__(self, size, scale=1.0, *, name="a", **extra):
        self.size, self.scale, self.name, self.extra = size, scale, name, extra


class Wrapper(Leaf):
    """Calls its parent with other arguments than its own."""

    def __init__(self, half):
        super().__init__(2 * half)


class Heir(Leaf):
    """Has no constructor of its own."""


class Module(Configured, torch.nn.Module):
    def __init__(self, parts, widths=(1, 2)):
        super().__init__()
        self.widths = widths
        self.parts = torch.nn.ModuleList(parts)


REGISTRY = {kind.__name__: kind for kind in (Leaf, Wrapper, Heir, Module)}


def test_all_arguments_are_remembered_with_their_defaults():
    assert describe(Leaf(3)) == {"class": "Leaf", "size": 3, "scale": 1.0, "name": "a"}
    assert describe(Leaf(3, name="b", more=1)) == {
        "class": "Leaf",
        "size": 3,
        "scale": 1.0,
        "name": "b",
        "more": 1,
    }


def test_the_outermost_constructor_counts():
    assert describe(Wrapper(2)) == {"class": "Wrapper", "half": 2}
    assert build(describe(Wrapper(2)), REGISTRY).size == 4
    assert describe(Heir(2))["class"] == "Heir"


@given(JSON)
def test_any_json_value_comes_back(value):
    text = json.dumps(describe(Leaf(value)))
    rebuilt = build(json.loads(text), REGISTRY)
    assert rebuilt.size == value
    assert describe(rebuilt) == describe(Leaf(value))


def test_nested_objects_come_back():
    module = Module([Module([]), Module([Module([], widths=(5,))])])
    rebuilt = build(json.loads(json.dumps(describe(module))), REGISTRY)
    assert describe(rebuilt) == describe(module)
    assert isinstance(rebuilt.parts[1].parts[0], Module)


def test_later_changes_of_an_argument_are_not_recorded():
    widths, options = [8, 8], {"a": [1]}
    leaf = Leaf(widths, options=options)
    widths.append(16)
    options["a"].append(2)
    assert describe(leaf)["size"] == [8, 8]
    assert describe(leaf)["options"] == {"a": [1]}


def test_a_copy_remembers_too():
    assert describe(copy.deepcopy(Module([Module([])]))) == describe(Module([Module([])]))


@pytest.mark.parametrize("value", [object(), torch.zeros(2), {1, 2}, lambda x: x, torch.nn.Linear(1, 1)])
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(UsageError, match="cannot be saved") as error:
        describe(Leaf([value]))
    assert error.value.fix


@pytest.mark.parametrize(
    "description",
    [
        {"class": "os.system", "command": "true"},
        {"class": "__import__"},
        {"class": 3},
        {"class": None},
        {"class": "Leaf"},
        {"class": "Leaf", "size": {"class": "Unknown"}},
        {"class": "Wrapper", "half": {}},
        {"class": "Wrapper", "half": 1, "other": 2},
    ],
)
def test_a_description_that_cannot_be_built(description):
    with pytest.raises(ModelFolderError, match="configuration"):
        build(description, REGISTRY)


def test_class_names_carry_their_prefix():
    class Prefixed(Configured):
        class_prefix = "room."

    assert class_name(Prefixed) == "room.Prefixed"
    assert class_name(Leaf) == "Leaf"


def test_signatures_and_docstrings_stay():
    import inspect

    assert list(inspect.signature(Leaf).parameters) == ["size", "scale", "name", "extra"]
    assert Leaf.__init__.__name__ == "__init__"
