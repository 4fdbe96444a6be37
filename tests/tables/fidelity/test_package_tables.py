"""Real tables that ship with packages need no schema, and come back as they are."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.datasets import load_diabetes, load_wine

from logpx.tables import fit_table, open_table


def file_of(package: str, *parts: str) -> Path:
    """Return a file of a package, which need not be imported."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0], *parts)


def cars() -> pd.DataFrame:
    return pd.read_json(file_of("vega_datasets", "_data", "cars.json"))


TABLES: dict[str, Any] = {
    "penguins": lambda: file_of("palmerpenguins", "data", "penguins.csv"),
    "raw penguins": lambda: file_of("palmerpenguins", "data", "penguins-raw.csv"),
    "weather": lambda: file_of("vega_datasets", "_data", "seattle-weather.csv"),
    "cars": cars,
    "wine": lambda: load_wine(as_frame=True).frame,
    "diabetes": lambda: load_diabetes(as_frame=True, scaled=False).frame,
}

# Text with holes, and a frame of labels and numbers.
OFTEN = ("raw penguins", "cars")


def stored(source: Any) -> pa.Table:
    """Return the cells of a table as they are stored; those of a text file as text."""
    return pa.Table.from_batches([batch.stored for batch in open_table(source).batches()])


@pytest.mark.parametrize("model", ["gaussian", pytest.param("auto", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in OFTEN else [pytest.mark.slow]) for name in TABLES]
)
def test_a_real_table_needs_no_schema_and_comes_back_as_it_is(name: str, model: str):
    source = TABLES[name]()
    result = fit_table(source, model, max_time=4)
    fitted, table = result.model, stored(source)
    assert len(fitted.schema.modelled) >= min(6, table.num_columns)
    assert bool(fitted.log_prob(source).isfinite().all())
    filled = pa.Table.from_batches(list(fitted.impute_table(source, as_text=True)))
    assert filled.column_names == table.column_names
    gone = {column.name: column.reading.present for column in fitted.schema.columns}
    for column in table.column_names:
        cells, own = table.column(column).combine_chunks(), filled.column(column).combine_chunks()
        text = open_table(source).in_text_file
        kept = gone[column](cells, in_text_file=text)
        assert own.filter(pa.array(kept)).equals(cells.filter(pa.array(kept)))
    drawn = fitted.sample(500, seed=1)
    frame, known = drawn.to_pandas(), {column.name: column for column in fitted.schema.modelled}
    for column in frame:
        own = known[column]
        if own.levels is not None:
            assert set(map(str, frame[column])) <= set(own.levels)
        elif pd.api.types.is_numeric_dtype(frame[column]):
            low = -np.inf if own.lower is None else own.lower
            high = np.inf if own.upper is None else own.upper
            assert frame[column].between(low, high).all()
    assert bool(fitted.log_prob(drawn).isfinite().all())
