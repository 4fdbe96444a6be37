import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from logpx.errors import DataError
from logpx.tables.scales.knots import quantile_knots
from logpx.tables.scales.sample import Sample


def test_knots_are_quantiles():
    knots, heights = quantile_knots(Sample.of(np.random.default_rng(0).gamma(3.0, 1.0, 50_000)))
    np.testing.assert_allclose(stats.gamma(3.0).cdf(knots), stats.norm.cdf(heights), atol=0.01)


def test_a_gap_between_modes_has_a_knot_at_either_end():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.uniform(0, 1, 2500), rng.uniform(10, 11, 7500)])
    knots, heights = quantile_knots(Sample.of(values))
    assert not ((knots > 1) & (knots < 10)).any()
    below, above = heights[knots <= 1].max(), heights[knots >= 10].min()
    assert stats.norm.cdf([below, above]) == pytest.approx([0.25, 0.25], abs=1e-3)


@pytest.mark.parametrize(
    "distribution",
    [stats.norm(), stats.expon(), stats.uniform(), stats.cauchy()],
    ids=["norm", "exp", "unif", "t1"],
)
def test_no_gap_is_found_where_there_is_none(distribution):
    values = np.arcsinh(distribution.rvs(20_000, random_state=np.random.default_rng(0)))
    _, heights = quantile_knots(Sample.of(values))
    # Nothing but levels evenly spaced on the normal axis.
    np.testing.assert_allclose(np.diff(heights), np.diff(heights)[0])


def test_all_rows_alike_but_one_are_refused():
    with pytest.raises(DataError, match="too similar"):
        quantile_knots(Sample.of([1.0] * 10_000 + [2.0]))


@given(
    st.lists(
        st.sampled_from([0.0, 1.0, 1.0 + 1e-9, 5.0, 1e6]) | st.floats(-10, 10), min_size=2, max_size=300
    ).filter(lambda values: len(set(values)) > 1)
)
def test_knots_are_strictly_increasing_for_any_column(values):
    try:
        knots, heights = quantile_knots(Sample.of(values))
    except DataError:
        return
    assert (np.diff(knots) > 0).all()
    assert (np.diff(heights) > 0).all()
    assert len(knots) <= 64 + 16
