"""New cells of a positive column are never rounded to 0, which the model calls impossible."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from logpx.tables import Kind, fit_table, infer_schema
from logpx.tables.reading.number_notation import NumberNotation
from logpx.tables.schema.column_schema import Column

EUROS = NumberNotation(decimal=",", decimals=2, suffix=" €")


@pytest.mark.parametrize(
    ("notation", "stored", "least"),
    [
        (EUROS, pa.string(), "0,01 €"),
        (EUROS, pa.dictionary(pa.int32(), pa.string()), "0,01 €"),
        (None, pa.decimal128(9, 3), Decimal("0.001")),
        (None, pa.float32(), float(np.finfo(np.float32).tiny)),
        (None, pa.float64(), 1e-60),
    ],
)
def test_the_least_number_is_written_where_rounding_gives_zero(notation, stored, least):
    column = Column(name="a", kind=Kind.POSITIVE, lower=0.0, notation=notation)
    assert column.write(np.array([1e-60, 7.0]), stored).to_pylist()[0] == least


def test_other_columns_may_round_to_zero():
    column = Column(name="a", kind=Kind.CONTINUOUS, notation=EUROS)
    assert column.write(np.array([1e-60]), pa.string()).to_pylist() == ["0,00 €"]


def test_samples_of_small_amounts_have_finite_scores(written, logpx_main, tmp_path):
    amounts = 10 ** np.random.default_rng(0).normal(-1.0, 0.7, 60) + 0.01
    path = written("a;b\n" + "".join(f"{a:.2f};{i % 3}\n" for i, a in enumerate(amounts)).replace(".", ","))
    model, samples, scores = tmp_path / "m", tmp_path / "samples.csv", tmp_path / "scores.csv"
    assert (
        logpx_main("fit", path, "-o", model, "--model", "gaussian", "--time", "2s", "--columns", "a=positive")
        == 0
    )
    assert logpx_main("sample", model, "-n", 500, "-o", samples) == 0
    assert logpx_main("score", model, samples, "-o", scores) == 0
    assert "inf" not in scores.read_text()


def test_skewed_sizes_over_a_decade_are_positive():
    sizes = np.random.default_rng(0).gamma(4.0, 160.0, 500)
    (column,) = infer_schema({"area": sizes}).columns
    assert column.kind is Kind.POSITIVE
    drawn = fit_table({"area": sizes}, "gaussian", max_time=1).model.sample(2000)["area"].to_numpy()
    assert drawn.min() > 0
