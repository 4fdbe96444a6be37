"""Data of every kind are read as columns of numbers, labels or dates; what is missing stays missing."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from logpx import plots
from logpx.errors import UsageError
from logpx.plots.bins import bin_edges, highest_levels
from logpx.plots.columns import columns_of, matched

ROWS = {"n": [1.5, None, 3.0], "label": ["a", None, "b"], "day": [datetime.date(2020, 1, 2), None, None]}


@pytest.mark.parametrize("frame", [pa.table, pd.DataFrame, pl.DataFrame, dict])
def test_frames_are_read_alike(frame):
    found = columns_of(frame(ROWS))
    assert list(found) == ["n", "label", "day"]
    np.testing.assert_array_equal(found["n"].values, [1.5, np.nan, 3.0])
    assert found["label"].levels == ("a", "b")
    np.testing.assert_array_equal(found["label"].values, [0.0, np.nan, 1.0])
    assert found["day"].dates
    assert found["day"].values[0] == (datetime.date(2020, 1, 2) - datetime.date(1970, 1, 1)).days


def test_draws_of_named_parameters_are_taken_apart():
    draws = {"mu": torch.zeros(4), "theta": torch.arange(24.0).view(4, 2, 3)}
    found = columns_of(draws)
    assert list(found) == ["mu", *(f"theta[{i}, {j}]" for i in range(2) for j in range(3))]
    np.testing.assert_array_equal(found["theta[1, 2]"].values, draws["theta"][:, 1, 2].numpy())
    assert list(columns_of(draws, ["theta"])) == list(found)[1:]
    assert list(columns_of(draws, [0, -1])) == ["mu", "theta[1, 2]"]
    with pytest.raises(UsageError, match="did you mean 'mu'"):
        columns_of(draws, ["muu"])


def test_rare_labels_are_put_together():
    labels = [f"l{i:03}" for i in range(100) for _ in range(100 - i)]
    ((column, other),) = matched({"label": labels}, {"label": ["l099", "l000", "new"]})
    assert column.levels == other.levels == (*(f"l{i:03}" for i in range(9)), "92 others")
    assert int((column.values == 9).sum()) == sum(100 - i for i in range(9, 100))
    np.testing.assert_array_equal(other.values, [9.0, 0.0, 9.0])


def test_labels_of_two_tables_are_matched_by_what_they_say():
    ((one, other),) = matched({"c": ["a", "a", "b"]}, {"c": ["b", "b", "z", None]})
    assert one.levels == other.levels == ("a", "b", "z")
    np.testing.assert_array_equal(other.values, [1.0, 1.0, 2.0, np.nan])


def test_wrong_data_are_named():
    with pytest.raises(UsageError, match="nothing to plot"):
        plots.plot_marginals(np.zeros((0, 3)))
    with pytest.raises(UsageError, match="shape"):
        plots.plot_marginals(np.zeros((2, 3, 4)))
    with pytest.raises(UsageError, match="no column 'b'"):
        plots.plot_marginals({"a": [1.0, 2.0], "b": [1.0, 2.0]}, {"a": [1.0]})
    with pytest.raises(UsageError, match="numbers in one table and labels in the other"):
        plots.plot_marginals({"a": [1.0]}, {"a": ["x"]})
    with pytest.raises(UsageError, match="type object"):
        plots.plot_marginals(object())


def test_whole_numbers_get_a_bin_each():
    column = columns_of({"n": np.repeat([1.0, 2.0, 4.0], 9)})["n"]
    np.testing.assert_allclose(bin_edges([column]), [0.5, 1.5, 2.5, 3.5, 4.5])


def test_area_of_a_histogram_is_one_on_any_axis():
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=5000), 10 ** rng.normal(size=5000)):
        (ax,) = plots.plot_marginals(values)
        patch = ax.patches[0]
        edges = np.log(patch.get_data().edges) if ax.get_xscale() == "log" else patch.get_data().edges
        assert patch.get_data().values @ np.diff(edges) == pytest.approx(1.0, abs=0.01)


def test_contours_hold_their_share():
    # Of a normal distribution the region with a share s has squared radius -2 log(1 - s).
    grid = np.linspace(-5, 5, 401)
    density = np.exp(-0.5 * (grid[:, None] ** 2 + grid**2))
    levels = highest_levels(density, (0.5, 0.9))
    np.testing.assert_allclose(levels, [0.1, 0.5], rtol=0.01)


def test_columns_without_values_and_constant_ones_are_drawn():
    rows = {"nothing": [np.nan] * 20, "one": [3.0] * 20, "far": [*[0.0] * 19, 1e300], "label": ["x"] * 20}
    grid = plots.plot_pair(rows, rows)
    grid[0, 0].figure.canvas.draw()
    assert grid.shape == (4, 4)
