"""A table that is piped in, in any format, as often as it is read."""

import gzip
import io
import types

import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet
import pytest

from logpx.errors import DataError, UsageError
from logpx.tables import open_table

TABLE = pa.table({"a": [1.0, 2.5], "b": ["x", "y"]})
CSV = b"a,b\n1,x\n2.5,y\n"


@pytest.fixture
def pipe(monkeypatch):
    def give(content: bytes) -> None:
        stream = io.BytesIO(content)
        fake = types.SimpleNamespace(buffer=stream, closed=False, isatty=lambda: False)
        monkeypatch.setattr("sys.stdin", fake)

    return give


def stored(write) -> bytes:
    sink = io.BytesIO()
    write(TABLE, sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        CSV,
        b"\xef\xbb\xbf# made by x\n" + CSV.replace(b",", b"\t"),
        b'{"a": 1, "b": "x"}\n{"a": 2.5, "b": "y"}\n',
        gzip.compress(CSV),
        stored(pa.parquet.write_table),
        stored(pa.feather.write_feather),
        stored(pa.orc.write_table),
    ],
    ids=["csv", "tsv", "jsonl", "gz", "parquet", "arrow", "orc"],
)
def test_content_tells_the_format_and_is_read_twice(pipe, content):
    pipe(content)
    table = open_table("-")
    for _ in range(2):
        (batch,) = table.batches()
        assert batch.columns.to_pydict() == TABLE.to_pydict()
    assert table.count_rows() == 2
    assert batch.locate(1) == ("standard input", 2)


def test_errors_name_standard_input_alone(pipe):
    pipe(b"a,b\n1,2\n1,oops\n")
    with pytest.raises(DataError) as caught:
        list(open_table("-").as_numbers().batches())
    assert str(caught.value).startswith("standard input, row 2, column 'b': text 'oops'")
    pipe("a,b\n1,é\n".encode("latin-1"))
    with pytest.raises(DataError) as caught:
        list(open_table("-").batches())
    assert caught.value.fix.endswith("cat - | iconv -f CP1252 -t UTF-8 > stdin.utf8.txt")


@pytest.mark.parametrize("content", [b"", b"\0\1\2\3"])
def test_nothing_or_nonsense_is_a_usage_error(pipe, content):
    pipe(content)
    with pytest.raises(UsageError, match="standard input") as caught:
        open_table("-")
    assert caught.value.fix


def test_a_terminal_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(closed=False, isatty=lambda: True))
    with pytest.raises(UsageError, match="nothing is piped"):
        open_table("-")
