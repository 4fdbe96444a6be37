import torch

from logpx.tables import Column, Kind, Labels, Support
from logpx.tables.columns.supports import Supports

SUPPORTS = Supports([Support(), Support(lower=0.0, step=1.0), Support(step=0.01)])


def rows(count=9000):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 3, dtype=torch.float64, generator=generator) * 10
    return torch.stack([x[:, 0], x[:, 1].abs().round(), torch.round(x[:, 2] * 100) / 100], 1)


def test_noise_touches_gridded_columns_only_and_covers_one_step():
    x = rows()
    noise = SUPPORTS.dequantise(x, seed=5) - x
    assert (noise[:, 0] == 0).all()
    assert 0.49 < noise[:, 1].abs().max() <= 0.5
    assert 0.0049 < noise[:, 2].abs().max() <= 0.005 + 1e-12


def test_noise_depends_on_the_row_seed_and_draw_alone():
    x = rows()
    whole = SUPPORTS.dequantise(x, seed=5)
    assert torch.equal(SUPPORTS.dequantise(x[4000:], seed=5, first_row=4000), whole[4000:])
    assert not torch.equal(SUPPORTS.dequantise(x, seed=6), whole)
    assert not torch.equal(SUPPORTS.dequantise(x, seed=5, draw=1), whole)


def test_snap_gives_back_the_very_values():
    x = rows()
    assert torch.equal(SUPPORTS.snap(SUPPORTS.dequantise(x, seed=0)), x)


def test_a_kind_implies_what_its_column_does_not_say():
    columns = [
        Column(name="a", kind=Kind.INTEGER),
        Column(name="b", kind=Kind.POSITIVE),
        Column(name="c", kind=Kind.INTEGER, step=0.5),
        Column(name="d", kind=Kind.CATEGORICAL, levels=["x", "y", "z"]),
    ]
    supports = Supports.of(columns)
    whole, positive, halves, labels = supports.supports
    assert (whole.step, whole.lower, whole.whole) == (1.0, None, True)
    assert positive.lower == 0.0
    assert not halves.whole
    assert isinstance(labels, Labels)
    assert (supports.gridded, supports.levels) == ([0, 2], [None, None, None, 3])


def test_missing_cells_stay_missing():
    x = torch.tensor([[float("nan")], [2.0]], dtype=torch.float64)
    supports = Supports([Support(lower=0.0, upper=5.0, step=1.0)])
    assert supports.dequantise(x, seed=0).isnan().tolist() == [[True], [False]]
    assert not supports.supports[0].outside(x).any()
    assert not supports.supports[0].off_grid(x).any()
