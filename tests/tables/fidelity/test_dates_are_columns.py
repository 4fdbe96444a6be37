"""Dates, times and durations are numbers on their grid, and come back as dates that exist."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logpx.errors import DataError, UsageError
from logpx.tables import Kind, fit_table, infer_schema, parse_columns
from logpx.tables.reading.date_notation import DateNotation
from logpx.tables.reading.date_recognition import recognised_dates

FORMATS = [
    "%Y-%m-%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%Y/%m/%d",
    "%d %b %Y",
    "%B %d, %Y",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S.%f",
    "%m/%d/%Y %I:%M %p",
    "%d-%b-%y",
    "%d %B %y",
]
moments = st.datetimes(datetime.datetime(1970, 1, 13), datetime.datetime(2060, 12, 31))


@pytest.mark.parametrize("text", FORMATS)
@settings(max_examples=10)
@given(found=st.lists(moments, min_size=1, max_size=6))
def test_what_python_writes_is_read_and_written_alike(text: str, found: list):
    # A day above 12 tells day and month apart.
    found = [*found, datetime.datetime(2001, 7, 25, 23, 59)]
    cells = pa.array([moment.strftime(text) for moment in found])
    notation = recognised_dates(cells)
    assert notation is not None
    expected = [
        datetime.datetime.strptime(cell, text).replace(tzinfo=datetime.UTC).timestamp()
        for cell in cells.to_pylist()
    ]
    numbers = notation.read(cells).to_numpy()
    np.testing.assert_allclose(numbers / 1e6, expected, rtol=0, atol=1e-5)
    assert notation.write(numbers, pa.string()).to_pylist() == cells.to_pylist()


@pytest.mark.parametrize("text", ["%Y-%m", "%m/%Y", "%b %Y", "%G-W%V", "%GW%V"])
def test_months_and_weeks_count_themselves(text: str):
    days = [datetime.date(1998, 12, 1) + datetime.timedelta(weeks=week) for week in range(0, 2600, 5)]
    cells = pa.array([day.strftime(text) for day in days])
    notation = recognised_dates(cells)
    assert notation is not None
    notation = notation.model_copy(update={"unit": notation.period})
    numbers = notation.read(cells).to_numpy()
    months = np.array([12 * (day.year - 1970) + day.month - 1 for day in days])
    weeks = np.array([(day - datetime.date(1969, 12, 29)).days // 7 for day in days])
    np.testing.assert_array_equal(numbers, weeks if "%V" in text else months)
    assert notation.write(numbers + 0.3, pa.string()).to_pylist() == cells.to_pylist()
    assert recognised_dates(pa.array(["2021-W53", "2020-W52"])) is None


@pytest.mark.parametrize("form", ["{year}Q{quarter}", "{year}-Q{quarter}", "Q{quarter} {year}"])
def test_quarters_count_themselves(form: str, written):
    periods = pd.period_range("1999Q3", periods=40, freq="Q")
    cells = [form.format(year=period.year, quarter=period.quarter) for period in periods]
    path = written("q,x\n" + "".join(f"{cell},{row / 7:.2f}\n" for row, cell in enumerate(cells)))
    column = infer_schema(path).columns[0]
    assert (column.kind, column.step, column.maximum) == (Kind.TIMESTAMP, 1.0, (2009 - 1970) * 4 + 1)
    assert column.write(np.array([column.maximum]), pa.string()).to_pylist() == [cells[-1]]


def test_durations_go_on_beyond_a_day():
    cells = pa.array(["36:10:05", "02:00:00", "123:59:59"])
    notation = recognised_dates(cells)
    assert notation is not None
    assert notation.what == "duration"
    seconds = [36 * 3600 + 605, 7200, 123 * 3600 + 3599]
    numbers = notation.read(cells)
    assert numbers.to_pylist() == [1e6 * value for value in seconds]
    assert notation.write(np.array([*numbers.to_pylist(), -5e6]), pa.string()).to_pylist() == [
        *cells.to_pylist(), "00:00:00",
    ]  # fmt: skip


def test_days_that_do_not_exist_are_no_dates():
    assert recognised_dates(pa.array(["2023-02-30"])) is None
    assert DateNotation(format="%Y%m%d").read(pa.array([20240229, 20230229])).null_count == 1


@pytest.mark.parametrize(
    ("values", "unit", "minimum"),
    [
        (pd.date_range("2023-01-01", periods=30, freq="D"), "day", 19358),
        (pd.date_range("2023-01-01", periods=30, freq="7h"), "hour", 19358 * 24),
        (pd.date_range("2023-01-01", periods=30, freq="13min"), "minute", 19358 * 24 * 60),
        (pd.to_timedelta(np.arange(30) ** 2, unit="s"), "second", 0),
        ([datetime.time(row % 24, 15 * (row % 4)) for row in range(30)], "minute", 0),
        ([20230100 + row for row in range(1, 31)], "day", 19358),
    ],
)
def test_the_unit_is_the_longest_that_all_values_lie_on(values, unit: str, minimum: float):
    column = infer_schema(pa.table({"when": pa.array(values)})).columns[0]
    assert column.kind is Kind.TIMESTAMP
    assert (column.notation.unit, column.minimum) == (unit, minimum)
    assert column.step >= 1.0


def test_samples_and_filled_cells_are_dates(written):
    generator = np.random.default_rng(0)
    days = pd.Timestamp("2023-01-01") + pd.to_timedelta(generator.integers(0, 300, 60), unit="D")
    frame = pd.DataFrame({"when": days, "x": (days.day_of_year / 9 + generator.normal(size=60))})
    texts = frame.assign(when=frame.when.dt.strftime("%d.%m.%Y"))
    path = written(texts.to_csv(index=False, sep=";"))
    model = fit_table(path, "gaussian").model
    np.testing.assert_allclose(model.log_prob(path), model.log_prob(frame), atol=1e-12)
    sampled = pd.to_datetime(model.sample(50).column("when").to_pylist(), format="%d.%m.%Y")
    assert (abs(sampled - days.mean()) < pd.Timedelta(days=600)).all()
    filled = model.impute(frame.assign(when=frame.when.where(frame.index != 5))).to_pandas()
    assert filled.when.dtype == frame.when.dtype
    assert filled.when[5] == filled.when[5].normalize()
    assert (filled.when.drop(5) == frame.when.drop(5)).all()
    drawn = model.impute(texts.assign(when=texts.when.where(texts.index != 5)), draws=2)
    assert pd.to_datetime(drawn.column("when").to_pylist(), format="%d.%m.%Y").notna().all()


def test_whole_numbers_may_stay_whole_numbers():
    values = {"when": [20230623, 20230701, 20240229, 19991231], "x": [1.0, 2.0, 4.0, 3.5]}
    column = infer_schema(values).columns[0]
    assert (column.kind, "%Y%m%d" in column.reason) == (Kind.TIMESTAMP, True)
    assert column.write(np.array([column.maximum]), pa.int64()).to_pylist() == [20240229]
    assert infer_schema(values, {"when": "integer"}).columns[0].kind is Kind.INTEGER
    other = infer_schema({"n": [20230623, 20230732, 20240229, 20231231]}).columns[0]
    assert other.kind is Kind.INTEGER


def test_day_and_month_that_cannot_be_told_apart_are_an_error(written):
    path = written("when,x\n01/02/2023,1\n03/04/2023,2\n05/06/2023,4\n")
    with pytest.raises(DataError, match="day and month") as caught:
        infer_schema(path)
    assert "when=timestamp:%m/%d/%Y" in caught.value.fix
    for text, day in (("%d/%m/%Y", "2023-02-01"), ("%m/%d/%Y", "2023-01-02")):
        column = infer_schema(path, parse_columns(f"when=timestamp:{text}")).columns[0]
        assert column.minimum == (np.datetime64(day) - np.datetime64("1970-01-01")).astype(int)
    with pytest.raises(UsageError, match="not a format of dates"):
        parse_columns("when=timestamp:%Q")


def test_text_among_dates_is_named(written):
    rows = "".join(f"2023-01-{row:02d},{row}\n" for row in range(1, 29))
    with pytest.raises(DataError, match="text 'soon' where a date of the format %Y-%m-%d") as caught:
        infer_schema(written(f"when,x\n{rows}soon,1\n")).require_modelled()
    assert caught.value.column == "when"
    assert "row 29" in caught.value.message


@pytest.mark.parametrize("stored", [pa.string(), pa.timestamp("us"), pa.date32()])
def test_dates_of_all_years_are_read_exactly(stored: pa.DataType):
    # Beyond 2255, microseconds since 1970 need more than 53 bits.
    dates = ["1601-01-01", "1969-12-31", "2024-02-29", "9999-12-31"]
    cells = pa.array([datetime.date.fromisoformat(date) for date in dates] * 5)
    schema = infer_schema({"when": cells.cast(stored)}).columns[0]
    days = [(datetime.date.fromisoformat(date) - datetime.date(1970, 1, 1)).days for date in dates]
    assert schema.kind is Kind.TIMESTAMP
    assert (schema.minimum, schema.maximum) == (days[0], days[-1])
    assert schema.reading.read(cells.cast(stored), in_text_file=True)[0].to_pylist()[:4] == days
    written = schema.write(np.array(days, dtype=np.float64), stored)
    assert written.cast(pa.string()).to_pylist() == cells.cast(stored).cast(pa.string()).to_pylist()[:4]


def test_hours_of_far_years_keep_their_unit():
    moments = [f"{year}-01-01 {year % 24:02d}:00:00" for year in range(1600, 1640)]
    (column,) = infer_schema({"when": pa.array(moments)}).columns
    assert column.notation is not None
    assert column.notation.unit == "hour"


@pytest.mark.parametrize("word", ["0000-00-00", "31.12.", "unknown 1"])
def test_text_among_dates_is_refused_with_a_fix_that_works(word: str, written, logpx_main, tmp_path, capsys):
    dates = [f"2023-03-{1 + row % 28:02d}" for row in range(40)]
    dates[::9] = [word] * len(dates[::9])
    path = written("when,x\n" + "".join(f"{date},{row % 7}\n" for row, date in enumerate(dates)))
    fit = ("fit", path, "-o", tmp_path / "m", "--model", "gaussian", "--time", "2s")
    assert logpx_main(*fit) == 3
    error = capsys.readouterr().err
    assert f"'{word}' where a date" in error
    assert f"--missing 'when:{word}'" in error
    assert logpx_main(*fit, "--missing", f"when:{word}") == 0


def test_durations_are_not_negative_if_none_was():
    seconds = np.random.default_rng(0).integers(0, 10_000, (2, 60)) - np.array([[0], [5000]])
    table = {name: pa.array(own).cast(pa.duration("s")) for name, own in zip("ab", seconds, strict=True)}
    model = fit_table(pa.table(table), "gaussian", max_time=1).model
    drawn = model.sample(300)
    low = [min(drawn.column(name).to_pylist()) for name in "ab"]
    assert low[0] >= datetime.timedelta(0) > low[1]


@pytest.mark.parametrize("form", ["%d.%m.%Y", "%Y-%m-%d %H:%M:%S", "%m/%d/%Y %H:%M"])
def test_a_model_reads_dates_as_in_iso_8601_however_those_of_its_table_are_written(written, form: str):
    days = pd.Series(pd.date_range("2022-02-20", periods=40, freq="D"))
    x = np.random.default_rng(0).normal(size=40)
    tables = [pd.DataFrame({"when": days.dt.strftime(each), "x": x}) for each in (form, "%Y-%m-%dT%H:%M:%S")]
    paths = [written(table.to_csv(index=False), f"{place}.csv") for place, table in enumerate(tables)]
    model = fit_table(paths[0], "gaussian", max_time=1).model
    np.testing.assert_array_equal(model.log_prob(paths[0]), model.log_prob(paths[1]))


@pytest.mark.parametrize("form", ["%Y-%m", "%b %Y", "%YQ%q", "%G-W%V"])
@pytest.mark.parametrize("model", ["gaussian", "autoregressive"])
def test_months_quarters_and_weeks_are_modelled_and_drawn(written, form: str, model: str):
    days = pd.Series(pd.date_range("2015-01-01", periods=60, freq="40D"))
    quarters = days.dt.year.astype(str) + "Q" + days.dt.quarter.astype(str)
    cells = quarters if "%q" in form else days.dt.strftime(form)
    table = pd.DataFrame({"when": cells, "x": np.random.default_rng(0).normal(size=60)})
    fitted = fit_table(written(table.to_csv(index=False)), model, max_time=1).model
    (when,) = (column for column in fitted.schema.modelled if column.name == "when")
    assert when.periods == [{"%q": 4.0, "%V": 365.2425 / 7}.get(form[-2:], 12.0)]
    drawn = fitted.sample(20).column("when")
    assert len(when.reading.notation.read(drawn.combine_chunks()).drop_null()) == 20
