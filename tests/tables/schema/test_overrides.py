"""What a user may pin, and the errors that suggest what was meant."""

import pytest

from logpx.errors import UsageError
from logpx.tables import Column, Kind, Schema, parse_columns
from logpx.tables.schema.overrides import pinned_columns


def test_kinds_and_bounds():
    columns = parse_columns("price=positive, a b =drop,q=bounded:-1:1e3,x=y=identifier")
    assert {name: column.kind for name, column in columns.items()} == {
        "price": Kind.POSITIVE,
        "a b": Kind.DROP,
        "q": Kind.BOUNDED,
        "x=y": Kind.IDENTIFIER,
    }
    assert (columns["q"].lower, columns["q"].upper) == (-1.0, 1000.0)


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("price", "expected name=kind", "price=positive"),
        ("", "expected name=kind", "price=positive"),
        ("=drop", "expected name=kind", "price=positive"),
        ("a=drop,a=positive", "twice", "once"),
        ("a=positiv", "not a kind of column", "'positive'"),
        ("a=numbers!", "not a kind of column", "continuous"),
        ("a=empty", "not a kind of column", "choose|did you mean"),
        ("a=bounded:1", "does not give bounds", "bounded:0:10"),
        ("a=bounded:1:0", "does not give bounds", "bounded:0:10"),
        ("a=bounded:nan:1", "does not give bounds", "bounded:0:10"),
        ("a=bounded:-inf:inf", "does not give bounds", "bounded:0:10"),
        ("a=bounded:x:1", "does not give bounds", "bounded:0:10"),
        ("a=positive:0:1", "does not give bounds", "bounded:0:10"),
    ],
)
def test_what_cannot_be_meant(text, message, fix):
    with pytest.raises(UsageError, match=message) as caught:
        parse_columns(text)
    assert any(part in caught.value.fix for part in fix.split("|"))


@pytest.mark.parametrize("overrides", ["a=drop", ["a"]])
def test_what_pins_nothing(overrides):
    with pytest.raises(UsageError, match="kinds of columns are a"):
        pinned_columns(overrides, ["a"])


def test_all_ways_to_pin_are_one():
    column = Column(name="a", kind=Kind.POSITIVE)
    for overrides in ({"a": "positive"}, {"a": Kind.POSITIVE}, {"a": column}, Schema(columns=[column])):
        assert pinned_columns(overrides, ["a", "b"])["a"].kind is Kind.POSITIVE
    assert pinned_columns(None, ["a"]) == {}


def test_a_name_that_is_not_there_suggests_one_that_is():
    with pytest.raises(UsageError, match="no such column") as caught:
        pinned_columns({"prise": "drop"}, ["id", "price"])
    assert "'price'" in caught.value.fix
