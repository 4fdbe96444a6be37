"""What a user may pin, and the errors that suggest what was meant."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logpx.errors import UsageError
from logpx.tables import Column, Kind, Schema, parse_columns
from logpx.tables.schema.columns_option import columns_option
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
    ("text", "names"),
    [
        ('"a,b"=drop,c=integer', ["a,b", "c"]),
        ('"say ""hi"""=drop', ['say "hi"']),
        ('" x ", y =drop', None),
        ('" x "=drop, y =drop', [" x ", "y"]),
        ("=drop", [""]),
        ('""=drop,a==drop', ["", "a="]),
        ('"a=drop,b"=drop', ["a=drop,b"]),
        ('5"=drop,"x"y=drop', ['5"', '"x"y']),
        ('"a\nb"=bounded:0:1', ["a\nb"]),
    ],
)
def test_names_of_any_characters(text, names):
    if names is None:
        with pytest.raises(UsageError, match="expected name=kind"):
            parse_columns(text)
    else:
        assert list(parse_columns(text)) == names


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), st.just("drop")
    )
)
def test_any_names_survive_option_shell_and_parser(kinds):
    words = shlex.split(columns_option(kinds)) if kinds else ["--columns", "a=drop"]
    assert words[0] == "--columns"
    assert list(parse_columns(words[1])) == (list(kinds) or ["a"])


def test_a_near_name_that_needs_quotes_is_shown_with_them():
    with pytest.raises(UsageError) as caught:
        pinned_columns({"price": "drop"}, [" price", "b"])
    assert '" price"' in caught.value.fix


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("price", "expected name=kind", "price=positive"),
        ("", "expected name=kind", "price=positive"),
        ("a=drop,", "expected name=kind", "price=positive"),
        ('"a,b=drop', "expected name=kind", "double quotes"),
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
