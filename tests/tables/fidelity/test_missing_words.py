"""Which words mean a missing cell: the usual ones, those of the user, and never a label."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from logpx.errors import DataError, UsageError
from logpx.tables import Kind, fit_table, infer_schema, open_table


def column(path, name: str = "a", **options):
    return next(each for each in infer_schema(open_table(path, **options)).columns if each.name == name)


@pytest.mark.parametrize(
    ("option", "missing"),
    [
        (None, {"a": 2, "b": 1}),
        ("none", {"a": 1, "b": 0}),
        ("-", {"a": 3, "b": 1}),
        ("none,-", {"a": 2, "b": 0}),
        (["a:none", "-"], {"a": 2, "b": 1}),
        (["a:x,y"], {"a": 5, "b": 1}),
        ({"a": "none"}, {"a": 1, "b": 1}),
        ({"": ["-"], "b": ["9.0"]}, {"a": 3, "b": 2}),
        (["b:9"], {"a": 2, "b": 2}),
    ],
)
def test_words_are_added_and_none_takes_the_usual_ones_away(written, option, missing):
    path = written("a,b\nx,1\ny,NaN\nNA,4\n,9\n-,5\nx,6\n")
    table = open_table(path, missing=option)
    (batch,) = table.as_numbers(but="a").batches()
    assert batch.columns.column("a").null_count == missing["a"]
    # A NaN is no number, with whatever words.
    assert np.isnan(batch.numbers("b")).sum() == max(missing["b"], 1)


def test_a_column_that_does_not_exist_is_refused(written):
    path = written("a,b\n1,2\n")
    for option in ("c:-9", {"c": ["-9"]}):
        with pytest.raises(UsageError, match=r"no (such )?column"):
            open_table(path, missing=option)


def test_a_model_remembers_its_words(written):
    generator = np.random.default_rng(0)
    x = np.round(generator.normal(40, 5, 60), 1)
    rows = [f"{value if row % 6 else -999},{row % 5}.5" for row, value in enumerate(x)]
    path = written("a,b\n" + "\n".join(rows) + "\n")
    model = fit_table(path, "gaussian", missing=["a:-999"]).model
    frame = pd.DataFrame({"a": np.where(np.arange(60) % 6, x, -999.0), "b": np.arange(60) % 5 + 0.5})
    gone = frame.assign(a=frame.a.where(frame.a > 0))
    for source in (path, frame, gone):
        np.testing.assert_array_equal(model.log_prob(source), model.log_prob(gone))
    assert model.impute(frame).to_pandas().a.min() > 0


def test_namibia_is_a_country(written):
    rows = [f"{code},{row % 9}.5" for row, code in enumerate(["DE", "NA", "US", "ZA"] * 15)]
    found = column(written("a,b\n" + "\n".join(rows) + "\n"))
    assert (found.levels, found.missing) == (["DE", "NA", "US", "ZA"], 0)
    assert "Namibia" in found.notes[0]
    model = fit_table(written("a,b\n" + "\n".join(rows) + "\n"), "gaussian").model
    filled = model.impute(written("a,b\nNA,1.5\n,2.5\n", "b.csv")).column("a").to_pylist()
    assert filled[0] == "NA"
    states = column(written("a,b\nTX,1\nNA,2\nNY,4\nTX,3\n"))
    assert (states.levels, states.missing) == (["NY", "TX"], 1)
    assert "--missing 'a:none'" in states.notes[0]


@pytest.mark.parametrize(
    ("cells", "word"),
    [
        ([*range(1, 40), -999, -999, -999], "-999"),
        ([*range(1, 40), 9999, 9999], "9999"),
        (["x", "y", "x", "unknown", "y"] * 5, "unknown"),
        (["x", "y", "-", "x", "y"] * 5, "-"),
    ],
)
def test_likely_sentinels_are_pointed_out_with_their_share(written, cells, word):
    path = written("a,b\n" + "".join(f"{cell},{row}.5\n" for row, cell in enumerate(cells)))
    (note,) = column(path).notes
    assert f"{word!r}" in note
    assert " %" in note
    assert note.endswith(f"--missing 'a:{word}'")
    assert column(path, missing=[f"a:{word}"]).notes == []


@pytest.mark.parametrize("cells", [[-1, 0, 1, 2, 3] * 8, [97, 98, 99, 99, 100, 101] * 5, ["a", "b"] * 20])
def test_ordinary_values_are_not(written, cells):
    path = written("a,b\n" + "".join(f"{cell},{row}.5\n" for row, cell in enumerate(cells)))
    assert column(path).notes == []


def test_a_word_among_numbers_is_an_error_whose_fix_works(written):
    path = written("a,b\n" + "".join(f"{row}.5,{row % 3}\n" for row in range(20)) + "#DIV/0!,1\n")
    with pytest.raises(DataError, match="'#DIV/0!' where a number") as caught:
        infer_schema(path).require_modelled()
    assert "--missing 'a:#DIV/0!'" in caught.value.fix
    assert column(path, missing=["a:#DIV/0!"]).missing == 1


def test_large_whole_numbers_are_names():
    large = pa.array(2**60 + 64 * np.arange(20))
    found = infer_schema(pa.table({"a": large, "n": np.arange(20) / 7})).columns[0]
    assert (found.kind, "2^53" in found.reason) == (Kind.IDENTIFIER, True)
    near = pa.array(2**60 + np.arange(20))
    assert infer_schema(pa.table({"a": near})).columns[0].kind is Kind.IDENTIFIER
    again = infer_schema(pa.table({"a": pa.array(2**60 + np.arange(20) // 2)})).columns[0]
    assert "fractions" not in again.reason


@pytest.mark.parametrize("stored", [pa.string(), pa.timestamp("ms"), pa.date32(), pa.timestamp("us", "UTC")])
@pytest.mark.parametrize("far", ["9999-12-31", "1900-01-01"])
def test_a_far_date_is_pointed_out_with_the_option_that_reads_it_as_missing(stored, far: str):
    days = pa.array(np.arange("2024-03-01", "2024-03-31", dtype="M8[D]").astype(object))
    cells = pa.concat_arrays([days, pa.array([np.datetime64(far).astype(object)] * 6)])
    cells = cells.cast(pa.string()) if stored == pa.string() else cells.cast(pa.timestamp("us")).cast(stored)
    (note,) = infer_schema({"end": cells}).columns[0].notes
    assert note.startswith(f"6 cells (17 %) hold '{far}'")
    assert note.endswith(f"--missing 'end:{far}'")
    read = infer_schema(open_table({"end": cells}, missing=f"end:{far}")).columns[0]
    assert (read.missing, read.distinct, read.notes) == (6, 30, [])


def test_dates_that_are_merely_old_are_not_pointed_out():
    dates = pd.to_datetime(["1950-01-01"] * 2 + [f"{year}-06-01" for year in range(1990, 2024)])
    assert infer_schema({"born": dates.to_numpy()}).columns[0].notes == []
