"""The score of two judges: an ensemble, and log p where it is low."""

import math

import pytest
import torch

from logpx.errors import UsageError
from logpx.tables.unusualness import Unusualness, combined_scores

SOME = torch.tensor([0.003, 0.02, 0.2, 0.9], dtype=torch.float64).log()
USUAL = torch.zeros(4, dtype=torch.float64)


def test_log_p_finds_rows_that_the_ensemble_does_not() -> None:
    found = combined_scores(USUAL, SOME)
    assert (found[:2] < math.log(0.05)).all()
    assert (found.diff() >= 0.0).all()


def test_where_log_p_is_not_low_it_has_no_say() -> None:
    assert (combined_scores(USUAL, SOME)[2:] == USUAL[2:]).all()
    ensemble = math.log(0.3) * torch.ones(4, dtype=torch.float64)
    torch.testing.assert_close(combined_scores(ensemble, SOME)[2:], ensemble[2:])


def test_of_two_low_p_values_the_lower_counts_and_the_ensemble_has_the_larger_share() -> None:
    low = torch.linspace(1e-4, 1e-2, 50, dtype=torch.float64).log()
    found = combined_scores(low, low)
    assert (found == low).all()
    by_log_prob = combined_scores(torch.zeros_like(low), low)
    assert (by_log_prob > low).all()
    assert (by_log_prob < low + math.log(2.0)).all()


def test_impossible_rows_come_first() -> None:
    impossible = torch.tensor([-math.inf], dtype=torch.float64)
    assert combined_scores(torch.zeros(1).double(), impossible).item() == -math.inf


def test_folders_of_earlier_versions_keep_the_score_that_they_were_calibrated_by() -> None:
    torch.testing.assert_close(
        combined_scores(USUAL, SOME, factor=2.0, fading=None), torch.minimum(USUAL, SOME + math.log(2.0))
    )


@pytest.mark.parametrize("wrong", [{"factor": 0.0}, {"factor": "two"}, {"fading": -1.0}, {"fading": 1e400}])
def test_numbers_that_are_not_positive_are_refused(wrong: dict[str, object]) -> None:
    name = next(iter(wrong))
    with pytest.raises(UsageError, match=f"{name} is"):
        Unusualness(None, None, None, None, **wrong)  # type: ignore[arg-type]
