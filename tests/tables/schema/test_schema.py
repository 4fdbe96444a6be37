"""The schema's shape: JSON there and back, strict files, and the checks of new tables."""

import json
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from logpx.errors import DataError
from logpx.tables import Column, Kind, Schema

finite = st.floats(allow_nan=False, allow_infinity=False)
plain = [kind for kind in Kind if kind is not Kind.BOUNDED]
columns = st.builds(
    Column,
    name=st.text(),
    kind=st.sampled_from(plain),
    step=st.none() | st.floats(1e-300, 1e300),
    offset=finite,
    uniform=st.booleans(),
    lower=st.none() | st.floats(-1e300, 0),
    upper=st.none() | st.floats(1, 1e300),
    minimum=st.none() | finite,
    maximum=st.none() | finite,
    missing=st.integers(0, 2**62),
    distinct=st.integers(0, 2**62),
    value=st.none() | finite | st.text() | st.booleans(),
    reason=st.text(),
)


def _name_or_weight(column: Column) -> object:
    """At most one column weighs the rows."""
    return Kind.WEIGHT if column.kind is Kind.WEIGHT else column.name


schemas = st.lists(columns, unique_by=(attrgetter("name"), _name_or_weight), max_size=5).map(
    lambda chosen: Schema(columns=chosen, rows=7, sampled=5)
)


@given(schemas)
def test_json_there_and_back(schema):
    again = Schema.from_json(schema.to_json())
    assert again == schema
    assert [type(column.value) for column in again.columns] == [
        type(column.value) for column in schema.columns
    ]
    assert json.loads(schema.to_json())["format_version"] == 2


@pytest.fixture
def schema():
    return Schema(
        columns=[
            Column(name="id", kind=Kind.IDENTIFIER),
            Column(name="price", kind=Kind.POSITIVE, step=0.01, lower=0.0, minimum=0.5, maximum=99.5),
            Column(name="same", kind=Kind.CONSTANT, value="yes", reason="every row has the value 'yes'"),
            Column(name="x", kind=Kind.CONTINUOUS, missing=3),
        ]
    )


def test_modelled_columns_in_order(schema):
    assert [column.name for column in schema.modelled] == schema.modelled_names == ["price", "x"]


def test_description_is_strings(schema):
    rows = schema.describe()
    assert [row["column"] for row in rows] == schema.names
    assert rows[1] == {
        "column": "price",
        "kind": "positive",
        "grid": "0.01",
        "range": "0.5 … 99.5",
        "missing": "0",
        "distinct": "0",
        "why": "",
    }
    assert rows[2]["range"] == "yes"


@pytest.mark.parametrize("names", [["x", "price", "id", "same"], ["price", "x"], ["x", "id", "price"]])
def test_order_and_absent_columns_that_are_not_modelled_do_not_matter(schema, names):
    schema.check(names)


def test_a_lacking_column_is_named_with_its_likely_new_name(schema):
    with pytest.raises(DataError, match="lacks this column") as caught:
        schema.check(["id", "Price", "x"], "new.csv")
    assert (caught.value.column, caught.value.file) == ("price", "new.csv")
    assert "'Price'" in caught.value.fix


def test_an_unknown_column_is_named(schema):
    with pytest.raises(DataError, match="does not know this column") as caught:
        schema.check(["id", "price", "x", "same", "extra"])
    assert caught.value.column == "extra"


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.refusal])
def test_refused_kinds_name_column_and_way_out(kind):
    refused = Schema(
        columns=[Column(name="x", kind=Kind.CONTINUOUS), Column(name="c", kind=kind, reason="why")]
    )
    with pytest.raises(DataError, match=r"\(why\)") as caught:
        refused.require_modelled("t.csv")
    assert caught.value.column == "c"
    assert "--columns c=drop" in caught.value.fix


def test_nothing_to_model_is_an_error():
    with pytest.raises(DataError, match="no column is left"):
        Schema(columns=[Column(name="c", kind=Kind.CONSTANT)]).require_modelled()


def test_every_kind_is_modelled_left_out_or_refused():
    for kind in Kind:
        assert kind.meaning
        assert not (kind.modelled and kind.refusal)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a schema"),
        ("[]", "not a schema"),
        ('{"columns": [{"name": "a"}]}', "column 'a': not a schema: kind: "),
        ('{"columns": [{"name": "a", "kind": "numeric"}]}', "column 'a': not a schema: kind: "),
        (
            '{"columns": [{"name": "a", "kind": "positive", "step": -1.0}]}',
            "column 'a': not a schema: step: ",
        ),
        ('{"columns": [{"name": "a", "kind": "positive", "step": "1"}]}', "column 'a': not a schema: step: "),
        ('{"columns": [{"name": "a", "kind": "positive", "colour": 1}]}', "column 'a': .* colour: "),
        ('{"columns": [{"name": "a", "kind": "drop"}, {"kind": "drop"}]}', "column 2 of the list.name: "),
        ('{"columns": [{"name": "a", "kind": "bounded", "lower": 0.0}]}', "both lower and upper"),
        ('{"columns": [{"name": "a", "kind": "bounded", "lower": 1.0, "upper": 0.0}]}', "not below"),
        ('{"columns": [{"name": "a", "kind": "drop"}, {"name": "a", "kind": "drop"}]}', "two columns"),
        ('{"columns": [], "format_version": 1}', "format_version"),
    ],
)
def test_files_are_read_strictly(text, message):
    with pytest.raises(DataError, match=message) as caught:
        Schema.from_json(text, "schema.json")
    assert caught.value.file == "schema.json"


def test_schemas_do_not_change(schema):
    with pytest.raises(ValidationError):
        schema.columns[0].name = "other"
