"""Evaluations against scipy, in nats and in bits."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from logpx.distributions import LowerBound
from logpx.errors import UsageError
from logpx.scoring import BitsPerDimension, Evaluation, NatsPerRow, ScoredBatch, Tally, Unit

OWN, OTHER = np.random.default_rng(0).normal(-50.0, 3.0, (2, 200))
BITS = 12 * math.log(2.0)


def evaluation(unit: Unit) -> Evaluation:
    tally = Tally(["other"], unit)
    for part in np.split(np.arange(200), [1, 70]):
        tally.add(torch.from_numpy(OWN[part]), {"other": torch.from_numpy(OTHER[part])})
    return tally.evaluation("lower bound", draws=3)


@pytest.mark.parametrize(
    ("unit", "sign", "factor"), [(NatsPerRow(), 1, 1), (BitsPerDimension((3, 2, 2)), -1, BITS)]
)
def test_means_errors_and_paired_gains(unit: Unit, sign: int, factor: float):
    found = evaluation(unit)
    assert found.mean == pytest.approx(OWN.mean())
    assert found.mean_standard_error == pytest.approx(stats.sem(OWN))
    assert found.value == pytest.approx(sign * OWN.mean() / factor)
    assert found.standard_error == pytest.approx(stats.sem(OWN) / factor)
    other = found.baselines["other"]
    assert other.value == pytest.approx(sign * OTHER.mean() / factor)
    assert other.standard_error == pytest.approx(stats.sem(OTHER) / factor)
    assert other.gain == pytest.approx((OWN - OTHER).mean() / factor)
    assert other.gain_standard_error == pytest.approx(stats.sem(OWN - OTHER) / factor)


def test_documents_name_the_unit():
    nats, bits = (evaluation(unit).to_dict() for unit in (NatsPerRow(), BitsPerDimension((3, 2, 2))))
    assert nats["mean"] == bits["mean"] == pytest.approx(OWN.mean())
    assert nats["standard_error"] == pytest.approx(stats.sem(OWN))
    assert bits["bits_per_dimension"] == pytest.approx(-OWN.mean() / BITS)
    assert bits["standard_error"] == pytest.approx(stats.sem(OWN) / BITS)
    assert list(nats["baselines"]["other"]) == [
        "mean",
        "standard_error",
        "gain",
        "gain_standard_error",
        "bound",
    ]
    assert "bits_per_dimension" in bits["baselines"]["other"]
    assert (bits["kind"], bits["rows"], bits["draws"], bits["exactness"]) == ("lower bound", 200, 3, None)


def test_impossible_rows_are_apart_from_the_others():
    tally = Tally(["other"], NatsPerRow())
    tally.add(torch.tensor([-math.inf, -1.0]), {"other": torch.tensor([-math.inf, -2.0])})
    tally.add(torch.tensor([-math.inf, -3.0, -2.0]), {"other": torch.tensor([-5.0, -5.0, -math.inf])})
    found = tally.evaluation("exact")
    assert (found.mean, found.outside, found.rows) == (-math.inf, 2, 5)
    assert math.isnan(found.baselines["other"].gain)
    assert (found.possible.rows, found.possible.mean, found.possible.outside) == (2, -2.0, 0)
    assert found.possible.baselines["other"].gain == 1.5
    assert found.to_dict()["possible"]["baselines"]["other"]["mean"] == -3.5


def test_without_impossible_rows_there_is_nothing_apart():
    assert evaluation(NatsPerRow()).possible is None
    tally = Tally([], NatsPerRow())
    tally.add(torch.tensor([-math.inf]), {})
    assert tally.evaluation("exact").possible is None


def test_scores_have_an_error_where_they_are_bounds():
    bound = LowerBound(torch.tensor([-BITS], dtype=torch.float64), torch.tensor([0.5], dtype=torch.float64))
    exact = ScoredBatch(start=0, bound=bound, kind="exact", unit=NatsPerRow())
    lower = ScoredBatch(start=0, bound=bound, kind="lower bound", unit=BitsPerDimension((3, 2, 2)))
    assert exact.standard_error is None
    assert lower.standard_error.tolist() == [0.5]
    assert lower.bits_per_dimension.tolist() == [1.0]
    with pytest.raises(UsageError):
        _ = exact.bits_per_dimension
