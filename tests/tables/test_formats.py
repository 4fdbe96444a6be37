"""What is written in any format is read back by its extension."""

import numpy as np
import pandas as pd
import pytest

from logpx.errors import UsageError
from logpx.tables import open_table, open_writer
from logpx.tables.formats import TABLE_FORMATS

ROWS = {"a": np.array([0.1, -2.5, 1e300]), "b": np.array([1.5, 2.0, 3.0])}

# What else reads such files, by their names.
PANDAS = {
    ".parquet": pd.read_parquet,
    ".csv": pd.read_csv,
    ".tsv": pd.read_table,
    ".csv.gz": pd.read_csv,
    ".tsv.gz": pd.read_table,
}


@pytest.mark.parametrize(
    "extension", [name for name, one in TABLE_FORMATS.items() if one.encoder is not None]
)
def test_rows_survive(extension: str, tmp_path):
    path = tmp_path / f"rows{extension}"
    with open_writer(path, list(ROWS)) as writer:
        writer.write(ROWS)
    (batch,) = open_table(path).batches()
    for name, column in ROWS.items():
        np.testing.assert_array_equal(batch.numbers(name), column)
    if extension in PANDAS:
        pd.testing.assert_frame_equal(PANDAS[extension](path), pd.DataFrame(ROWS))


@pytest.mark.parametrize("extension", [name for name, one in TABLE_FORMATS.items() if one.encoder is None])
def test_what_is_only_read_is_not_written(extension: str, tmp_path):
    with pytest.raises(UsageError, match="files with this extension cannot be written"):
        open_writer(tmp_path / f"rows{extension}", ["a"])
