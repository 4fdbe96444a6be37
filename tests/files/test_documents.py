"""JSON documents: what goes in comes out, and what is not JSON is refused."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logpx.errors import ModelFolderError, UsageError
from logpx.files.documents import parse_object, plain, restore, spell_out, to_bytes

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=6), inner, max_size=4),
    max_leaves=12,
)


def same(a, b) -> bool:
    """Compare as ``==`` does, but NaN equals NaN and types count."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


@given(VALUES)
def test_description_survives_json(value):
    document = parse_object(to_bytes({"value": spell_out(value)}), Path("x.json"))
    assert same(restore(document["value"]), value)


@given(VALUES)
def test_plain_values_are_json(value):
    document = parse_object(to_bytes({"value": plain(value)}), Path("x.json"))
    assert same(document["value"], plain(value))


def test_no_number_that_json_lacks_is_written():
    with pytest.raises(ValueError, match="Out of range"):
        to_bytes({"value": math.nan})


def test_what_is_no_json_value():
    with pytest.raises(UsageError, match="object"):
        plain({"a": object()})


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"1", b'{"a": Infinity}', b'{"a": 1, "a": 2}', b"\xff\xfe{}"]
)
def test_what_is_not_one_json_object(content: bytes):
    with pytest.raises(ModelFolderError, match=r"x\.json"):
        parse_object(content, Path("x.json"))
