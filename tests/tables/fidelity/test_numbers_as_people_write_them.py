"""Decimal commas, thousands marks, currencies and percent: read, said, and written back alike."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logpx.errors import DataError, UsageError
from logpx.tables import fit_table, infer_schema, open_table
from logpx.tables.reading.number_notation import NumberNotation
from logpx.tables.reading.number_recognition import number_forms


@pytest.mark.parametrize(
    ("content", "numbers"),
    [
        ("a;b\n20,1;7,3\n20,5;8,25\n", [20.1, 20.5]),
        ("a;b\n1.234,5;x\n-2.000,75;y\n", [1234.5, -2000.75]),
        ("a;b\n1.234;0,5\n2.345;0,7\n", [1234, 2345]),
        ('a,b\n"1,234.5",x\n17,y\n', [1234.5, 17]),
        ('a,b\n"12,34,567",x\n"1,00,000",y\n', [1234567, 100000]),
        ("a;b\n1 234,5;x\n12;y\n", [1234.5, 12]),
        ("a,b\n1'234.5,x\n12,y\n", [1234.5, 12]),
        ("a,b\n$5.50,x\n-$7.25,y\n", [5.5, -7.25]),
        ("a;b\n5,50 €;x\n1.007,25 €;y\n", [5.5, 1007.25]),
        ("a,b\nUSD 5,x\nUSD 7,y\n", [5, 7]),
        ("a,b\n12.5%,x\n7%,y\n", [12.5, 7]),
        ("a,b\n(5.50),x\n7.25,y\n", [-5.5, 7.25]),
        ("a,b\n\u22125.50,x\n7.25,y\n", [-5.5, 7.25]),
        ("a,b\n\u22125 %,x\n7 %,y\n", [-5, 7]),
        ("a;b\n1.005,50-;x\n7,25;y\n", [-1005.5, 7.25]),
        ("a;b\n5,50 €-;x\n7,25 €;y\n", [-5.5, 7.25]),
    ],
)
def test_marks_are_recognised(written, content: str, numbers: list):
    table = open_table(written(content))
    (batch,) = table.batches()
    assert batch.numbers("a").tolist() == numbers
    column = infer_schema(table, {"a": "continuous"}).columns[0]
    assert "written with" in column.reason
    again = column.write(np.array(numbers, float), pa.string()).to_pylist()
    assert again == batch.stored.column("a").to_pylist() or column.notation.decimals is None


@given(
    values=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=8),
    decimal=st.sampled_from(".,"),
    grouping=st.sampled_from(["", " ", "'", "\u202f"]),
    suffix=st.sampled_from(["", " €", "%"]),
    prefix=st.sampled_from(["", "$", "CHF "]),
    decimals=st.sampled_from([0, 2]),
    minus=st.sampled_from(["-", "\u2212"]),
    behind=st.booleans(),
)
def test_what_is_written_reads_back(values, decimal, grouping, suffix, prefix, decimals, minus, behind):
    notation = NumberNotation(
        decimal=decimal,
        grouping=grouping,
        suffix=suffix,
        prefix=prefix,
        decimals=decimals or None,
        minus=minus,
        # Without decimals, 2- may be a grade.
        minus_behind=behind and decimals > 0,
    )
    numbers = np.array(values) / 100 if decimals else np.array(values, float)
    text = notation.write(numbers, pa.string())
    np.testing.assert_array_equal(notation.read(text).to_numpy(), numbers)
    forms = number_forms(pa.array(sorted(set(text.to_pylist()))))
    assert any(form.read(text).equals(notation.read(text)) for form in forms.possible)


def test_a_comma_that_could_be_either_is_settled_by_other_columns_or_the_user(written):
    path = written("a;b\n1,234;x\n2,345;y\n")
    with pytest.raises(DataError, match=r"'1,234' reads as 1234 or as 1\.234") as caught:
        infer_schema(path)
    assert (caught.value.column, "--decimal ," in caught.value.fix) == ("a", True)
    for decimal, first in ((",", 1.234), (".", 1234.0)):
        assert infer_schema(open_table(path, decimal=decimal)).columns[0].minimum == first
    settled = infer_schema(written("a;b\n1,234;0,5\n2,345;0,7\n"))
    assert settled.columns[0].minimum == 1.234
    assert "decimal comma" in settled.columns[0].notes[0]
    noted = infer_schema(written('a,b\n"1,234",x\n"2,345",y\n')).columns[0]
    assert (noted.minimum, "--decimal ," in noted.notes[0]) == (1234.0, True)
    with pytest.raises(UsageError, match="decimal mark"):
        open_table(path, decimal=";")


@pytest.mark.parametrize(("small", "large"), [("{},25 €", "1.234,50 €"), ("{}.25", '"1,234.50"')])
@pytest.mark.parametrize("rows", [700, 300_000])
def test_a_thousands_mark_that_comes_late_is_one(written, small: str, large: str, rows: int):
    cells = "\n".join(f"{small.format(row % 900)};x" for row in range(rows))
    table = open_table(written(f"a;b\n{cells}\n{large};y\n"))
    numbers = np.concatenate([batch.numbers("a") for batch in table.batches()])
    assert numbers[-1] == 1234.5
    assert numbers[:2].tolist() == [0.25, 1.25]


def test_a_mark_that_could_be_a_decimal_one_is_no_thousands_mark():
    read = NumberNotation(decimal=",").read(pa.array(["1.234,5", "1.234", "1.23,5"]))
    assert read.to_pylist() == [1234.5, None, None]
    assert NumberNotation().read(pa.array(["1,234.5", "1,234"])).to_pylist() == [1234.5, None]


def test_text_among_numbers_with_marks_is_named(written):
    rows = "".join(f"{row},5;x\n" for row in range(20))
    with pytest.raises(DataError, match="text '5 mg' where a number like '1234,5'") as caught:
        infer_schema(written(f"a;b\n{rows}5 mg;y\n")).require_modelled()
    assert caught.value.column == "a"
    assert "row 21" in caught.value.message
    assert "--missing 'a:5 mg'" in caught.value.fix


def test_a_model_reads_files_and_frames_alike_and_writes_as_it_read(written):
    generator = np.random.default_rng(0)
    numbers = np.round(generator.normal(50, 9, 40), 2)
    text = [f"{value:.2f} €".replace(".", ",") for value in numbers]
    path = written("price;x\n" + "".join(f"{cell};{row % 7}\n" for row, cell in enumerate(text)))
    model = fit_table(path, "gaussian").model
    frame = pd.DataFrame({"price": numbers, "x": np.arange(40) % 7})
    np.testing.assert_array_equal(model.log_prob(path), model.log_prob(frame))
    filled = model.impute(written("price;x\n;3\n" + f"{text[0]};2\n", "b.csv")).column("price").to_pylist()
    assert filled[1] == text[0]
    assert filled[0].endswith(" €")
    assert len(filled[0].partition(",")[2]) == len("00 €")
    assert all(cell.endswith(" €") for cell in model.sample(3).column("price").to_pylist())


def test_plain_numbers_are_drawn_with_the_decimals_of_the_file(written):
    generator = np.random.default_rng(0)
    rows = "".join(f"{x:.2f},{y:.3e}\n" for x, y in generator.lognormal(3, 1, (60, 2)))
    drawn = fit_table(written("price,weight\n" + rows), "gaussian", max_time=1).model.sample(50).to_pandas()
    assert drawn.price.dtype == float
    assert (drawn.price == drawn.price.round(2)).all()
    assert (drawn.price > 0).all()
    assert not (drawn.weight == drawn.weight.round(2)).all()


def test_zeros_in_front_are_written_again(written):
    path = written("zip,x\n" + "".join(f"{row:05d},{row % 7}.5\n" for row in range(501, 541)))
    model = fit_table(path, "gaussian", columns={"zip": "integer"}).model
    assert all(len(cell) == 5 for cell in model.sample(5).column("zip").to_pylist())


def test_codes_with_zeros_in_front_have_no_more_digits(written):
    codes = np.random.default_rng(0).integers(500, 99_999, 200)
    path = written("code,x\n" + "".join(f"{code:05d},{code % 7}.5\n" for code in codes))
    model = fit_table(path, "gaussian", max_time=1).model
    assert model.schema.modelled[0].upper == 99_999
    drawn = model.sample(1000)
    assert {len(cell) for cell in drawn.column("code").to_pylist()} == {5}
    assert model.log_prob(drawn).isfinite().all()


@pytest.mark.parametrize("grades", [["1", "1-", "2", "2-"], ["2-", "3-", "A-"], ["1-", "2+", "3"]])
def test_grades_are_labels(written, grades: list):
    rows = "".join(f"{grades[row % len(grades)]},{row / 7}\n" for row in range(20))
    column = infer_schema(open_table(written("grade,x\n" + rows))).columns[0]
    assert column.levels == sorted(grades)


@pytest.mark.parametrize("form", ["{:.0f} kg", "{:.1f} °C", "{:.2f}x", "{:.2f}\u00a0µg/m³"])
def test_numbers_with_one_unit_are_numbers_and_are_written_with_it(written, form: str):
    cells = [form.format(60 + row / 3) for row in range(40)]
    column = infer_schema(open_table(written("a,b\n" + "".join(f"{c},{len(c)}\n" for c in cells)))).columns[0]
    assert (column.minimum, column.maximum, column.kind.modelled) == (60.0, 73.0, True)
    assert column.reading.notation.write(np.array([61.0]), pa.string()).to_pylist() == [form.format(61)]


@pytest.mark.parametrize("cells", [["2 kg", "500 g", "1 kg", "3 kg", "4 kg"], ["3 doors", "5 doors"]])
def test_numbers_with_several_units_or_few_values_are_labels(written, cells: list[str]):
    content = "a,b\n" + "".join(f"{cells[row % len(cells)]},{row}\n" for row in range(40))
    column = infer_schema(open_table(written(content))).columns[0]
    assert column.levels == sorted(cells)


@pytest.mark.parametrize("cells", [[f"0{row}B" for row in range(10, 40)], [f"C{row}" for row in range(30)]])
def test_codes_with_letters_are_no_numbers(written, cells: list[str]):
    content = "a,b\n" + "".join(f"{c},{row}\n" for row, c in enumerate(cells))
    assert infer_schema(open_table(written(content))).columns[0].notation is None


def test_text_that_holds_numbers_is_pointed_out_and_codes_are_not():
    weights = {"a": pd.Series([f"{row / 3:.2f}" for row in range(40)]), "b": range(40)}
    codes = {"a": pd.Series([f"{10000 + row // 2}" for row in range(40)]), "b": range(40)}
    assert "look like numbers" in infer_schema(pd.DataFrame(weights)).columns[0].notes[0]
    assert infer_schema(pd.DataFrame(codes)).columns[0].notes == []
    tags = {"a": pd.Series([f"{row % 12}{'ABCDEFG'[row % 7]}" for row in range(80)]), "b": range(80)}
    assert infer_schema(pd.DataFrame(tags)).columns[0].notes == []


def test_codes_are_pointed_out_and_new_ones_look_like_them(written):
    path = written("zip,x\n" + "".join(f"{z},{x}\n" for x in range(15) for z in ("00501", "90210")))
    result = fit_table(path, "gaussian", max_time=1)
    assert any(note.endswith("fit with --columns zip=categorical") for note in result.notes)
    assert all(len(cell) == 5 for cell in result.model.sample(50)["zip"].to_pylist())
    labelled = fit_table(path, "gaussian", columns={"zip": "categorical"}, max_time=1)
    assert set(labelled.model.sample(50)["zip"].to_pylist()) == {"00501", "90210"}
    assert not any("zeros" in note for note in labelled.notes)
