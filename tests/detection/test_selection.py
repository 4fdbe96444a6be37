"""Which rows are selected, seen batch by batch."""

import numpy as np
import pytest
from scipy import stats

from logpx.detection import Selection, selection_of
from logpx.errors import UsageError


def selected(selection: Selection, p_values: np.ndarray, log_prob: np.ndarray) -> np.ndarray:
    batches = [(start, slice(start, start + 7)) for start in range(0, len(p_values), 7)]
    for start, part in batches:
        selection.look(p_values[part], log_prob[part], start)
    return np.concatenate(
        [selection.chosen(p_values[part], log_prob[part], start) for start, part in batches]
    )


def test_false_discovery_rate_selects_as_scipy_does() -> None:
    random = np.random.default_rng(0)
    p_values = np.concatenate([random.integers(1, 201, 80), random.integers(1, 4, 20)]) / 200
    expected = stats.false_discovery_control(p_values) <= 0.1
    assert 10 < expected.sum() < 100
    assert (selected(selection_of(fdr=0.1), p_values, p_values) == expected).all()


def test_top_selects_the_lowest_and_the_first_of_equal_ones() -> None:
    log_prob = np.array([3.0, 1.0, 2.0, 1.0, -np.inf, 1.0, 0.5, 9.0, 1.0])
    chosen = selected(selection_of(top=4), np.full(9, np.nan), log_prob)
    assert np.flatnonzero(chosen).tolist() == [1, 3, 4, 6]


def test_alpha_compares_p_values() -> None:
    p_values = np.array([0.01, 0.02, 0.03, np.nan])
    assert selected(selection_of(alpha=0.02), p_values, p_values).tolist() == [True, True, False, False]


def test_all_rows_are_selected_without_a_look() -> None:
    selection = selection_of(everything=True)
    assert selection.everything
    assert selection.chosen(np.full(3, np.nan), np.zeros(3), 0).all()


def test_no_row_is_no_row() -> None:
    selection = selection_of()
    assert not selection.chosen(np.array([]), np.array([]), 0).any()


def test_too_few_rows_set_aside_are_said() -> None:
    selection = selection_of(fdr=0.05)
    selected(selection, np.full(1000, 0.5), np.zeros(1000))
    assert "100 or more" in str(selection.too_few_aside(1 / 200))
    assert selection.too_few_aside(1e-6) is None


@pytest.mark.parametrize(
    "wanted",
    [
        {"fdr": 0.0},
        {"alpha": 1.5},
        {"top": 0},
        {"top": 2.5},
        {"fdr": 0.1, "top": 3},
        {"top": 1, "everything": True},
    ],
)
def test_what_makes_no_sense_is_refused(wanted: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        selection_of(**wanted)
