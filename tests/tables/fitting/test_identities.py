"""Columns that others determine up to their grids are named, with the rows in which that holds."""

import shlex

import numpy as np
import pytest
import torch

from logpx.tables import fit_table, parse_columns
from logpx.tables.fitting.dependences import dependent_columns, identities

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(20.0, (400, 3)).astype(float)


def written(columns: dict, steps=1.0) -> list[str]:
    x = torch.from_numpy(np.stack(list(columns.values()), 1).astype(float))
    given = [steps] * x.shape[1] if not isinstance(steps, list) else steps
    return [identity.written(list(columns)) for identity in identities(x, given)]


def test_whole_numbers_that_add_up():
    a, b, c = COUNTS.T
    assert written({"a": a, "b": b, "total": a + b, "c": c}) == ["total = a + b in all 400 rows"]
    assert written({"a": a, "total": a + b, "b": b, "c": c}) == ["b = - a + total in all 400 rows"]
    assert written({"a": a, "b": a, "c": c}) == ["b = a in all 400 rows"]
    assert written({"a": a, "b": 3 * a + 7, "c": c}) == ["b = 7 + 3 × a in all 400 rows"]
    some = a + b
    some[:2] += 5
    assert written({"a": a, "b": b, "total": some}) == ["total = a + b in 398 of 400 rows"]


def test_several_at_once_and_with_missing_cells():
    a, b, c = COUNTS.T
    holes = np.where(RNG.random(400) < 0.1, np.nan, b)
    found = written({"a": a, "b": holes, "c": c, "ab": a + b, "abc": a + b + c})
    assert len(found) == 2
    assert found[0].startswith("ab = a + b in all 3")
    # With b missing, the sum itself explains as much.
    assert found[1].startswith("abc = ")


@pytest.mark.parametrize("digits", [2, 3])
def test_shares_that_sum_to_one_up_to_rounding(digits):
    shares = RNG.dirichlet([2.0, 3.0, 4.0], 400).round(digits)
    assert written(dict(zip("abc", shares.T, strict=True)), 10.0**-digits) == [
        "c = 1 - a - b in all 400 rows"
    ]


def test_shares_without_a_grid_sum_to_one_up_to_their_decimals():
    shares = RNG.dirichlet([2.0, 3.0, 4.0], 300).round(4)
    assert written(dict(zip("abc", shares.T, strict=True)), None) == ["c = 1 - a - b in all 300 rows"]
    notes = fit_table(dict(zip("abc", shares.T, strict=True)), "gaussian", max_time=1).notes
    assert any(note.startswith("c = 1 - a - b in all 300 rows") for note in notes)


def test_truth_values_of_one_label():
    label = RNG.integers(0, 3, 400)
    columns = {str(value): label == value for value in range(3)}
    assert written(columns) == ["2 = 1 - 0 - 1 in all 400 rows"]


def test_what_is_only_correlated_is_no_identity():
    a, b, c = COUNTS.T
    rare = (RNG.random((400, 4)) < 0.02).astype(float)
    near = a + b + RNG.integers(-1, 2, 400)
    assert written({"a": a, "b": b, "near": near, "c": c}) == []
    assert written(dict(zip("abcd", rare.T, strict=True))) == []
    assert written({"a": a, "b": a + RNG.normal(size=400)}, [1.0, None]) == []
    assert written({"a": a[:8], "b": a[:8]}) == []


def test_dependent_columns_are_those_that_lower_the_rank():
    x = RNG.normal(size=(50, 4))
    x = np.column_stack([x[:, 0], x[:, 0] * 2, x[:, 1], x[:, 2], x[:, :3].sum(1), x[:, 3]])
    found = dependent_columns(torch.from_numpy(np.cov(x.T)))
    assert found == [1, 4]
    assert np.linalg.matrix_rank(np.delete(x, found, 1)) == x.shape[1] - len(found) == 4


def test_a_fit_notes_them_with_an_option_that_works():
    a, b, _ = COUNTS.T
    frame = {"a": a, "b b": b, "total": a + b}
    (note,) = [note for note in fit_table(frame, "gaussian").notes if "nats that mean nothing" in note]
    assert note.startswith("total = a + b b in all 400 rows")
    option = shlex.split(note.rpartition("--columns ")[2])[0]
    again = fit_table(frame, "gaussian", columns=parse_columns(option))
    assert not any("nothing" in note for note in again.notes)
